"""What flows ask of the world and what they are told: the words of the sans-I/O protocol. Pure.

A flow is a generator. It yields one of `AnyAction`, and is sent the answer that the action's docstring names. A driver
(`registry.wire`, or a fake of the tests) owns the socket, the clock and the credential programs.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import msgspec

from jettison.base.errors import InternalError
from jettison.oci.parse import MAX_DOCUMENT_BYTES


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in: a name and a password, or a token in place of both. Never shown, in no message."""

    username: str = ""
    password: str = ""
    identity_token: str = ""  # exchanged for an access token
    registry_token: str = ""  # is the access token

    def __repr__(self) -> str:
        return "Credential(...)"


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was looked for; `origin` says where, for people."""

    credential: Credential | None = None
    origin: str = ""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request; answered by Response or Failed. Redirects are not followed by the driver.

    The body of the answer is read whole, up to `limit` bytes; of a 2xx answer to a `stream` request none is read
    until `Drain` is yielded. `upload` 0 or more: what is sent as body is that many bytes, all of the driver's upload.
    `verify` False: the server's certificate is not checked.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: bytes = b""
    limit: int = MAX_DOCUMENT_BYTES
    stream: bool = False
    upload: int = -1
    verify: bool = True

    def __repr__(self) -> str:
        return f"Request({self.method}, {redacted(self.url)!r})"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a server. Names of `headers` are lower case. `too_large`: the body went beyond the limit."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""
    too_large: bool = False

    def header(self, name: str) -> str:
        """A header's value, "" for none; `name` in lower case."""
        return self.headers.get(name, "")


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """No answer: `kind` is dns, refused, timeout, tls, plain (TLS was offered to a server without), cut or other."""

    kind: str
    detail: str


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """Write the body of the last streamed answer where the flow's bytes go; answered by Drained.

    The first `skip` bytes are thrown away, and at most `limit` bytes beyond them are read.
    """

    limit: int
    skip: int = 0


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """`received` bytes were written. `cut` says why the body ended early ("": it ended by itself); `more`: there were
    bytes beyond the limit.
    """

    received: int
    cut: str = ""
    more: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Let time pass; answered by Waited. The driver may raise Cancelled."""

    seconds: float


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """The time has passed."""


class AskCredential(msgspec.Struct, frozen=True, kw_only=True):
    """Look up the login for a registry, by the name that `docker login` knows it by; answered by Lookup."""

    host: str


AnyAction = Request | Drain | Wait | AskCredential
AnyAnswer = Response | Failed | Drained | Waited | Lookup
_Result = TypeVar("_Result")
_Answer = TypeVar("_Answer")
Flow = Generator[AnyAction, AnyAnswer, _Result]


def ask(action: AnyAction, kind: type[_Answer]) -> Flow[_Answer]:
    """Yield `action`; its answer, which must be of `kind`."""
    answer = yield action
    if not isinstance(answer, kind):
        raise InternalError(f"{type(action).__name__} was answered by {type(answer).__name__}")
    return answer


def send(request: Request) -> Flow[Response | Failed]:
    """Yield `request`; the answer, or why there was none."""
    answer = yield request
    if not isinstance(answer, Response | Failed):
        raise InternalError(f"a request was answered by {type(answer).__name__}")
    return answer


def redacted(url: str) -> str:
    """A URL as a message may show it: without user, password, query and fragment."""
    head, scheme, rest = url.partition("://")
    rest = rest if scheme else head
    rest = rest.partition("#")[0].partition("?")[0]
    host, slash, path = rest.partition("/")
    shown = host.rpartition("@")[2] + slash + path
    return f"{head}://{shown}" if scheme else shown
