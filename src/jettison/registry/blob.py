"""One large blob, streamed: cut connections are resumed by Range, servers take turns, the digest is checked at the end.

A generator of `registry.exchange`. The bytes go through a `Tally`, which the driver writes to.
"""

from __future__ import annotations

import re

import msgspec

from jettison.base.errors import JettisonError, NetworkError
from jettison.oci.documents import Descriptor
from jettison.oci.reference import Reference, familiar_name
from jettison.registry.complaint import complaint, offline_hint
from jettison.registry.config import Endpoint
from jettison.registry.exchange import Drain, Drained, Failed, Flow, Request, Response, ask
from jettison.registry.flow import Call, Session, asked, followed, is_final, pause, pull_scope, servers
from jettison.registry.image import Tally
from jettison.registry.pull import worst

MAX_RESUMPTIONS = 50  # of a server that gives a little each time
_CONTENT_RANGE = re.compile(r"bytes (\d{1,16})-\d{1,16}/(?:\d{1,16}|\*)")


def fetch_blob(session: Session, reference: Reference, descriptor: Descriptor, tally: Tally) -> Flow[None]:
    """Write the blob to `tally`. Raises NetworkError."""
    what = f"{reference}: blob {descriptor.digest}"
    failures: list[JettisonError] = []
    for call in _calls(reference, descriptor, (yield from servers(session, reference.domain)), what):
        try:
            yield from _fetch(session, call, descriptor, tally)
        except NetworkError as error:
            failures.append(error)
            continue
        if tally.digest == descriptor.digest:
            return
        hint = "a mirror or proxy on the way may keep a damaged copy"
        failures.append(NetworkError(f"{what}: {call.endpoint.host} sent other bytes: {tally.digest}", hint=hint))
        if not tally.restart():
            break
    raise worst(failures)


def _calls(reference: Reference, descriptor: Descriptor, found: tuple[Endpoint, ...], what: str) -> list[Call]:
    """The servers of the registry, then the addresses that the descriptor names itself (a foreign layer's)."""
    hint = offline_hint(familiar_name(reference))
    scope = pull_scope(reference.path)
    places = [(one, f"{one.base}/{reference.path}/blobs/{descriptor.digest}") for one in found]
    places += [(Endpoint(base=url, login=""), url) for url in descriptor.urls[:4] if url.startswith("https://")]
    return [
        Call(
            endpoint=endpoint,
            request=Request(url=url, stream=True, verify=endpoint.verify),
            scope=scope,
            what=what,
            hint=hint,
        )
        for endpoint, url in places
    ]


def _fetch(session: Session, call: Call, descriptor: Descriptor, tally: Tally) -> Flow[None]:
    """All that is missing, from one server. The attempts count anew whenever some bytes came."""
    attempt = 0
    for _ in range(MAX_RESUMPTIONS):
        before = tally.count
        problem = yield from _continue(session, call, descriptor, tally)
        if problem is None:
            return
        attempt = 1 if tally.count > before else attempt + 1
        if is_final(problem, attempt, call.attempts):
            raise complaint(asked(session, call), problem)
        yield from pause(attempt - 1, problem)
    raise NetworkError(f"{call.what}: {call.endpoint.host} cut the connection {MAX_RESUMPTIONS} times")


def _continue(session: Session, call: Call, descriptor: Descriptor, tally: Tally) -> Flow[Response | Failed | None]:
    """One request for the rest; None when the blob is whole, else what was in the way."""
    missing = descriptor.size - tally.count
    if not missing and tally.count:
        return None
    answer = yield from followed(session, ranged(call, tally.count))
    if isinstance(answer, Failed) or answer.status not in (200, 206):
        return answer
    _check_head(call, descriptor, answer)
    skip = skipped(call, answer, tally.count)
    drained = yield from ask(Drain(limit=missing, skip=skip), Drained)
    if drained.more:
        tally.restart()  # what it sent so far is no better
        raise NetworkError(
            f"{call.what}: {call.endpoint.host} sends more than the {descriptor.size} bytes of the manifest"
        )
    if drained.received == missing:
        return None
    return Failed(kind="cut", detail=drained.cut or f"after {tally.count} of {descriptor.size} bytes")


def ranged(call: Call, start: int) -> Call:
    """The call for what follows the first `start` bytes."""
    if not start:
        return call
    headers = call.request.headers | {"range": f"bytes={start}-"}
    return msgspec.structs.replace(call, request=msgspec.structs.replace(call.request, headers=headers))


def skipped(call: Call, answer: Response, start: int) -> int:
    """How many bytes of an answer's body are there already: all when the server ignored the range."""
    if answer.status == 200:
        return start
    found = _CONTENT_RANGE.fullmatch(answer.header("content-range").strip())
    if found is None or int(found[1]) > start:
        raise NetworkError(f"{call.what}: {call.endpoint.host} answered another range than was asked for")
    return start - int(found[1])


def _check_head(call: Call, descriptor: Descriptor, answer: Response) -> None:
    """Raises NetworkError for an answer that cannot be the blob, before a byte of it is written."""
    if answer.header("content-type").lower().startswith("text/html"):
        hint = "is it a registry, and does no proxy or login page answer in its place?"
        raise NetworkError(f"{call.what}: {call.endpoint.host} answered with a web page, not a blob", hint=hint)
    length = answer.header("content-length").strip()[:20]
    if answer.status == 200 and length.isdecimal() and int(length) != descriptor.size:
        raise NetworkError(f"{call.what}: {call.endpoint.host} has {length} bytes, the manifest says {descriptor.size}")
