"""An image read from a registry: manifest, index, config, blobs. Generators of `registry.exchange`, all verified.

A digest is of bytes as received. Each server of the list (mirrors, then the registry) is asked until one gives what
was asked for; a blob goes on with the next one where the last one stopped.
"""

from __future__ import annotations

from jettison.base.digest import digest_of, is_digest
from jettison.base.errors import InputError, JettisonError, NetworkError
from jettison.oci.documents import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, Index, Manifest, Platform
from jettison.oci.parse import MAX_CONFIG_BYTES, MAX_DOCUMENT_BYTES, parse_image
from jettison.oci.platform import choose, matches
from jettison.oci.reference import Reference, familiar_name
from jettison.registry.complaint import offline_hint
from jettison.registry.config import Endpoint
from jettison.registry.exchange import Flow, Request, Response
from jettison.registry.flow import Call, Session, patiently, pull_scope, servers
from jettison.registry.image import MAX_NESTING, Document, assembled, check_config_type, is_attestation, no_platform
from jettison.registry.source import ResolvedManifest

ACCEPT = f"{INDEX}, {DOCKER_LIST}, {MANIFEST}, {DOCKER_MANIFEST}"
MAX_TRIED_CONFIGS = 8  # entries of an index that do not say their platform
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+"


def resolve(session: Session, reference: Reference, wanted: Platform) -> Flow[ResolvedManifest]:
    """The image of a reference for a platform. A manifest that no index names is taken whatever platform it is for, as
    BuildKit does: its `platform` says so.
    """
    document = yield from manifest(session, reference, reference.selector)
    index_digest = None
    for _ in range(MAX_NESTING):
        parsed = parse_image(document.data, document.media_type, str(reference))
        if isinstance(parsed, Manifest):
            return (yield from image_of(session, reference, document, parsed, index_digest))
        index_digest = index_digest or document.digest
        found = yield from _chosen(session, reference, parsed, wanted)
        document = yield from manifest(session, reference, found.digest, found.size)
    raise InputError(f"{reference}: an index in an index in an index")


def manifest(session: Session, reference: Reference, selector: str, size: int | None = None) -> Flow[Document]:
    """The manifest or index of a tag or digest, undecoded."""
    what = str(reference) if selector == reference.selector else f"{reference}: manifest {selector}"
    failures: list[JettisonError] = []
    for endpoint in (yield from servers(session, reference.domain)):
        url = f"{endpoint.base}/{reference.path}/manifests/{selector}"
        call = _call(endpoint, reference, Request(url=url, headers={"accept": ACCEPT}, verify=endpoint.verify), what)
        try:
            answer = yield from patiently(session, call)
            return _document(call, answer, selector, size)
        except (NetworkError, InputError) as error:
            failures.append(error)
    raise worst(failures)


def _call(endpoint: Endpoint, reference: Reference, request: Request, what: str) -> Call:
    hint = offline_hint(familiar_name(reference))
    return Call(endpoint=endpoint, request=request, scope=pull_scope(reference.path), what=what, hint=hint)


def worst(failures: list[JettisonError]) -> JettisonError:
    """The error to show when no server gave it: the registry's own, with what its mirrors said."""
    last = failures[-1]
    others = [error.message for error in failures[:-1] if error.message != last.message]
    if not others:
        return last
    return type(last)("; ".join((last.message, *(f"mirror: {message}" for message in others))), hint=last.hint)


def _document(call: Call, answer: Response, selector: str, size: int | None) -> Document:
    host = call.endpoint.host
    media_type = answer.header("content-type").partition(";")[0].strip().lower()
    if answer.too_large:
        raise NetworkError(f"{call.what}: {host} sends more than {MAX_DOCUMENT_BYTES} bytes as a manifest")
    if media_type.startswith("text/html") or answer.body.lstrip()[:1] == b"<":
        hint = "is it a registry, and does no proxy or login page answer in its place?"
        raise NetworkError(f"{call.what}: {host} answered with a web page, not a manifest", hint=hint)
    if media_type.startswith(_SCHEMA1):
        hint = "push it again with a builder or registry of this decade"
        raise InputError(f"{call.what}: {host} has it as a manifest of schema 1, which is not supported", hint=hint)
    digest = digest_of(answer.body)
    claimed = selector if is_digest(selector) else answer.header("docker-content-digest")
    if is_digest(claimed) and claimed != digest:
        raise NetworkError(f"{call.what}: {host} sent other bytes than {claimed}: {digest}")
    if size is not None and size != len(answer.body):
        raise NetworkError(f"{call.what}: {host} sent {len(answer.body)} bytes, the index says {size}")
    return Document(digest=digest, media_type=media_type, data=answer.body, endpoint=host)


def _chosen(session: Session, reference: Reference, index: Index, wanted: Platform) -> Flow[Descriptor]:
    if found := choose(index.manifests, wanted):
        return found
    silent = [entry for entry in index.manifests if entry.platform is None and not is_attestation(entry)]
    for entry in silent[:MAX_TRIED_CONFIGS]:  # only their configs tell
        document = yield from manifest(session, reference, entry.digest, entry.size)
        parsed = parse_image(document.data, document.media_type, str(reference))
        if isinstance(parsed, Index):
            return entry
        image = yield from image_of(session, reference, document, parsed, None)
        if matches(wanted, image.platform):
            return entry
    raise no_platform(str(reference), index, wanted)


def image_of(
    session: Session, reference: Reference, document: Document, parsed: Manifest, index_digest: str | None
) -> Flow[ResolvedManifest]:
    """The image of a manifest: its config fetched and checked."""
    check_config_type(str(reference), parsed)
    config = yield from small_blob(session, reference, parsed.config, MAX_CONFIG_BYTES)
    return assembled(str(reference), document, parsed, config, index_digest)


def small_blob(session: Session, reference: Reference, descriptor: Descriptor, limit: int) -> Flow[bytes]:
    """A blob that fits in memory, checked."""
    what = f"{reference}: blob {descriptor.digest}"
    if descriptor.size > limit:
        raise InputError(f"{what}: {descriptor.size} bytes are too many, {limit} are allowed")
    failures: list[JettisonError] = []
    for endpoint in (yield from servers(session, reference.domain)):
        url = f"{endpoint.base}/{reference.path}/blobs/{descriptor.digest}"
        request = Request(url=url, limit=descriptor.size, verify=endpoint.verify)
        try:
            answer = yield from patiently(session, _call(endpoint, reference, request, what))
            check_bytes(what, endpoint.host, descriptor, answer)
        except NetworkError as error:
            failures.append(error)
        else:
            return answer.body
    raise worst(failures)


def check_bytes(what: str, host: str, descriptor: Descriptor, answer: Response) -> None:
    """Raises NetworkError for a body that is not the one described."""
    if answer.too_large or len(answer.body) != descriptor.size:
        more = f"more than {descriptor.size}" if answer.too_large else str(len(answer.body))
        raise NetworkError(f"{what}: {host} sent {more} bytes, the manifest says {descriptor.size}")
    if digest_of(answer.body) != descriptor.digest:
        raise NetworkError(f"{what}: {host} sent other bytes than {descriptor.digest}: {digest_of(answer.body)}")
