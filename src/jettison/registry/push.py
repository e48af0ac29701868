"""Writing to a registry: blobs in one piece, and the manifest that names them. Generators of `registry.exchange`.

Mirrors are never written to. What is there already is not sent again. A login goes to the registry alone, even where
it has its uploads sent to another server.
"""

from __future__ import annotations

import msgspec

from jettison.base.digest import digest_of
from jettison.base.errors import NetworkError
from jettison.oci.documents import Descriptor
from jettison.oci.reference import Reference
from jettison.registry.complaint import complaint
from jettison.registry.config import Endpoint, authority
from jettison.registry.exchange import Failed, Flow, Request, Response, redacted, send
from jettison.registry.flow import (
    Call,
    Session,
    allowed,
    asked,
    followed,
    is_final,
    patiently,
    pause,
    push_scope,
    same_server,
    servers,
)


def push_blob(session: Session, reference: Reference, descriptor: Descriptor) -> Flow[bool]:
    """Send a blob, from the driver's upload; False when the repository has it already. Raises NetworkError."""
    endpoint = yield from _registry(session, reference)
    if (yield from _has(session, endpoint, reference, descriptor.digest)):
        return False
    attempt = 0
    while True:
        call, answer = yield from _upload(session, endpoint, reference, descriptor)
        if isinstance(answer, Response) and answer.status < 300:
            return True
        attempt += 1
        if is_final(answer, attempt):
            raise complaint(asked(session, call), answer)
        yield from pause(attempt - 1, answer)


def has_blob(session: Session, reference: Reference, digest: str) -> Flow[bool]:
    """Whether the repository has a blob. Raises NetworkError."""
    endpoint = yield from _registry(session, reference)
    return (yield from _has(session, endpoint, reference, digest))


def push_manifest(session: Session, reference: Reference, data: bytes, media_type: str) -> Flow[str]:
    """Let the reference's tag or digest name a manifest whose blobs are there; its digest. Raises NetworkError."""
    endpoint = yield from _registry(session, reference)
    url = f"{endpoint.base}/{reference.path}/manifests/{reference.selector}"
    request = Request(url=url, method="PUT", headers={"content-type": media_type}, body=data, verify=endpoint.verify)
    yield from patiently(session, _call(endpoint, reference, request, f"{reference}: its manifest"))
    return digest_of(data)


def _registry(session: Session, reference: Reference) -> Flow[Endpoint]:
    """The registry itself, which stands behind its mirrors."""
    return (yield from servers(session, reference.domain))[-1]


def _call(endpoint: Endpoint, reference: Reference, request: Request, what: str) -> Call:
    return Call(endpoint=endpoint, request=request, scope=push_scope(reference.path), what=what, writes=True)


def _has(session: Session, endpoint: Endpoint, reference: Reference, digest: str) -> Flow[bool]:
    url = f"{endpoint.base}/{reference.path}/blobs/{digest}"
    request = Request(url=url, method="HEAD", verify=endpoint.verify)
    call = _call(endpoint, reference, request, f"{reference}: blob {digest}")
    attempt = 0
    while True:
        answer = yield from followed(session, call)
        if isinstance(answer, Response) and (answer.status == 200 or answer.status in _ABSENT):
            return answer.status == 200
        attempt += 1
        if is_final(answer, attempt):
            raise complaint(asked(session, call), answer)
        yield from pause(attempt - 1, answer)


_ABSENT = frozenset({404, 405})  # the other: a server that does not say, and is sent the blob


def _upload(
    session: Session, endpoint: Endpoint, reference: Reference, descriptor: Descriptor
) -> Flow[tuple[Call, Response | Failed]]:
    """One try: the answer that ended it, and what it was given to."""
    what = f"{reference}: blob {descriptor.digest}"
    url = f"{endpoint.base}/{reference.path}/blobs/uploads/"
    start = _call(endpoint, reference, Request(url=url, method="POST", verify=endpoint.verify), what)
    answer = yield from followed(session, start)
    if isinstance(answer, Failed) or answer.status >= 300:
        return start, answer
    request = Request(
        url=_place(start, answer, descriptor.digest),
        method="PUT",
        headers={"content-type": "application/octet-stream"},
        upload=descriptor.size,
        verify=endpoint.verify,
    )
    put = msgspec.structs.replace(start, request=request)
    if same_server(request.url, endpoint.base):
        return put, (yield from allowed(session, put))
    return put, (yield from send(msgspec.structs.replace(request, verify=True)))


def _place(start: Call, answer: Response, digest: str) -> str:
    """Where the bytes are to be sent. Raises NetworkError for no place, and for one in the clear."""
    from urllib.parse import urljoin  # late: it imports ipaddress

    given = answer.header("location")
    try:
        target = urljoin(start.request.url, given)
    except ValueError:
        target = ""
    if not given or not target.startswith(("https://", "http://")) or not authority(target):
        raise NetworkError(f"{start.what}: {start.endpoint.host} names no place to send it to")
    if target.startswith("http://") and start.request.url.startswith("https://"):
        raise NetworkError(f"{start.what}: {start.endpoint.host} wants it sent in the clear, to {redacted(target)}")
    return f"{target}{'&' if '?' in target else '?'}digest={digest}"
