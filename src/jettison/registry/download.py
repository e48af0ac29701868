"""One file over HTTP(S), as a flow: redirects, retries, revalidation, resumption. No socket.

The login for a host goes to that host alone. A cut download goes on by Range only where the server's ETag says that
the bytes are still the same; else it begins anew.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from jettison.base.errors import NetworkError
from jettison.registry.blob import skipped
from jettison.registry.complaint import Asked, complaint
from jettison.registry.config import Endpoint, authority
from jettison.registry.exchange import Drain, Drained, Failed, Flow, Request, Response, ask, redacted, send
from jettison.registry.flow import MAX_REDIRECTS, Call, is_final, pause, redirect_of, same_server
from jettison.registry.source import Restartable

MAX_BODY_BYTES = 1 << 50
MAX_RESUMPTIONS = 50


class Counting(Restartable, Protocol):
    """Where a download goes: `count` bytes so far."""

    count: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is fetched: `authorization` is the header's value, "" for none; `etag` that of a copy that is there."""

    url: str
    authorization: str = ""
    etag: str = ""

    def __repr__(self) -> str:
        return f"Wanted({redacted(self.url)!r})"


def http_secret_ids(url: str) -> tuple[str, str]:
    """The ids of the secrets that may hold a login for a URL: the header's, then the token's (reference §1.7)."""
    host = authority(url)
    return f"HTTP_AUTH_HEADER_{host}", f"HTTP_AUTH_TOKEN_{host}"


def head_of(wanted: Wanted) -> Flow[Response]:
    """The answer's head: its status is 200, or 304 where the copy is still the same. The body is left unread."""
    attempt = 0
    while True:
        answer = yield from _followed(wanted, {"if-none-match": wanted.etag} if wanted.etag else {})
        if isinstance(answer, Response) and (answer.status == 200 or (answer.status == 304 and wanted.etag)):
            return answer
        attempt += 1
        if is_final(answer, attempt):
            raise _complaint(wanted, answer)
        yield from pause(attempt - 1, answer)


def download(wanted: Wanted, sink: Counting, head: Response | None = None) -> Flow[Response]:
    """Write the whole file to `sink`; the head of the answer that it came from. `head`: one whose body is unread."""
    if head is None:
        head = yield from head_of(msgspec.structs.replace(wanted, etag=""))
    problem: Response | Failed | None = yield from _drained(wanted, head, sink, 0)
    attempt = 0
    for _ in range(MAX_RESUMPTIONS):
        if problem is None:
            return head
        attempt += 1
        if is_final(problem, attempt):
            raise _complaint(wanted, problem)
        yield from pause(attempt - 1, problem)
        before = sink.count
        head, problem = yield from _again(wanted, head, sink)
        attempt = 0 if sink.count > before else attempt
    raise NetworkError(f"{redacted(wanted.url)}: the connection was cut {MAX_RESUMPTIONS} times")


def _again(wanted: Wanted, head: Response, sink: Counting) -> Flow[tuple[Response, Response | Failed | None]]:
    etag = head.header("etag")
    if not etag or etag.startswith("W/") or not sink.count:
        head = yield from head_of(msgspec.structs.replace(wanted, etag=""))
        sink.restart()
        return head, (yield from _drained(wanted, head, sink, 0))
    answer = yield from _followed(wanted, {"range": f"bytes={sink.count}-", "if-range": etag})
    if isinstance(answer, Failed) or answer.status not in (200, 206):
        return head, answer
    if answer.status == 200:  # another file by now, or a server that knows no ranges
        sink.restart()
        return answer, (yield from _drained(wanted, answer, sink, 0))
    skip = skipped(_call(wanted), answer, sink.count)
    return head, (yield from _drained(wanted, head, sink, skip))


def _drained(wanted: Wanted, head: Response, sink: Counting, skip: int) -> Flow[Failed | None]:
    drained = yield from ask(Drain(limit=MAX_BODY_BYTES, skip=skip), Drained)
    if drained.more:
        raise NetworkError(f"{redacted(wanted.url)}: the file is endless")
    length = head.header("content-length").strip()[:20]
    if drained.cut:
        return Failed(kind="cut", detail=drained.cut)
    if length.isdecimal() and not head.header("content-encoding") and sink.count != int(length):
        return Failed(kind="cut", detail=f"after {sink.count} of {length} bytes")
    return None


def _followed(wanted: Wanted, headers: dict[str, str]) -> Flow[Response | Failed]:
    url = wanted.url
    plain = {"user-agent": "jettison", "accept-encoding": "identity"} | headers
    for _ in range(MAX_REDIRECTS + 1):
        login = {"authorization": wanted.authorization} if wanted.authorization and same_server(url, wanted.url) else {}
        answer = yield from send(Request(url=url, headers=plain | login, stream=True))
        target = redirect_of(url, answer)
        if target is None:
            return answer
        url = target
    raise NetworkError(f"{redacted(wanted.url)}: more than {MAX_REDIRECTS} redirects")


def _call(wanted: Wanted) -> Call:
    endpoint = Endpoint(base=wanted.url, login="")
    return Call(endpoint=endpoint, request=Request(url=wanted.url), scope="", what=redacted(wanted.url))


def _complaint(wanted: Wanted, answer: Response | Failed) -> NetworkError:
    host = authority(wanted.url)
    _, token = http_secret_ids(wanted.url)
    asked = Asked(what=redacted(wanted.url), host=host, secret=token, logged_in=bool(wanted.authorization))
    return complaint(asked, answer)
