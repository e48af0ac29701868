"""The driver of flows: sockets, the clock, the credential programs. The only file that imports urllib3.

Import it late: urllib3 and ssl cost some 60 ms. One `Wire` serves any number of threads; connections are pooled and
kept. Redirects, retries and logins are the flows' business.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import urllib3
from urllib3 import exceptions as faults

from jettison.base.errors import Cancelled, InputError, InternalError
from jettison.registry.config import Patience, authority
from jettison.registry.exchange import (
    AnyAction,
    AnyAnswer,
    AskCredential,
    Drain,
    Drained,
    Failed,
    Flow,
    Lookup,
    Request,
    Response,
    Wait,
    Waited,
)
from jettison.registry.proxy import proxy_for
from jettison.registry.source import Cancel, Sink, Upload
from jettison.registry.trust import tls_context

CHUNK_BYTES = 128 * 1024
POLL_S = 0.1  # how soon a wait notices that the caller wants to stop
KEPT_CONNECTIONS = 8  # a server

_Result = TypeVar("_Result")
_Pool = urllib3.PoolManager | urllib3.ProxyManager


class Wire:
    """Runs flows. `find_login` answers AskCredential."""

    def __init__(
        self,
        find_login: Callable[[str], Lookup],
        environ: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._find_login = find_login
        self.patience = patience or Patience()
        self._environ = os.environ if environ is None else environ
        self._pools: dict[tuple[str | None, str, bool], _Pool] = {}
        self._lock = threading.Lock()

    def run(
        self,
        flow: Flow[_Result],
        sink: Sink | None = None,
        cancel: Cancel | None = None,
        upload: Upload | None = None,
    ) -> _Result:
        """Run a flow to its end; streamed bodies go to `sink`, uploads come from `upload`. Raises what the flow raises,
        and Cancelled.
        """
        with contextlib.ExitStack() as held:
            run = _Run(self, sink, cancel, held, upload)
            try:
                action = next(flow)
                while True:
                    action = flow.send(run.answer(action))
            except StopIteration as stop:
                result: _Result = stop.value
                return result
            finally:
                flow.close()

    def close(self) -> None:
        """Close all connections that wait for more."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.clear()

    def login(self, host: str) -> Lookup:
        """Look up the login for a registry."""
        return self._find_login(host)

    def open(self, request: Request, pieces: Iterator[bytes] | None = None) -> urllib3.BaseHTTPResponse:
        """Send a request, with `pieces` as its body; the answer with its body unread. Raises urllib3's errors."""
        length = {"content-length": str(request.upload)} if pieces is not None else {}
        return self._pool(request).request(
            request.method,
            request.url,
            body=pieces if pieces is not None else request.body or None,
            headers=request.headers | length,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=self.patience.connect_s, read=self.patience.read_s),
        )

    def _pool(self, request: Request) -> _Pool:
        """One pool a proxy, and one a server where TLS is concerned: certificates may be the server's own."""
        proxy = proxy_for(request.url, self._environ)
        host = authority(request.url) if request.url.startswith("https://") else ""
        key = (proxy, host, request.verify)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._new_pool(proxy, host, verify=request.verify)
            return self._pools[key]

    def _new_pool(self, proxy: str | None, host: str, *, verify: bool) -> _Pool:
        context = tls_context(host, self._environ, verify=verify) if host else None
        if not verify:
            urllib3.disable_warnings(faults.InsecureRequestWarning)  # it was asked for
        if proxy is None:
            return urllib3.PoolManager(maxsize=KEPT_CONNECTIONS, ssl_context=context)
        parsed = urllib3.util.parse_url(proxy)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            hint = "write http://HOST:PORT into HTTPS_PROXY and HTTP_PROXY"
            raise InputError(f"a proxy of this kind is not supported: {parsed.scheme}", hint=hint)
        headers = urllib3.make_headers(proxy_basic_auth=parsed.auth) if parsed.auth else None
        address = parsed._replace(auth=None).url
        return urllib3.ProxyManager(
            address,
            maxsize=KEPT_CONNECTIONS,
            proxy_headers=headers,
            ssl_context=context,
            use_forwarding_for_https=False,
        )


class _Run:
    """One run of one flow: what it has open."""

    def __init__(
        self, wire: Wire, sink: Sink | None, cancel: Cancel | None, held: contextlib.ExitStack, upload: Upload | None
    ) -> None:
        self._wire = wire
        self._sink = sink
        self._cancel = cancel
        self._upload = upload
        self._open: urllib3.BaseHTTPResponse | None = None
        held.callback(self._drop)

    def answer(self, action: AnyAction) -> AnyAnswer:
        self._check()
        match action:
            case Request():
                return self._request(action)
            case Drain():
                return self._drain(action)
            case Wait():
                self._wait(action.seconds * self._wire.patience.wait_factor)
                return Waited()
            case AskCredential():
                return self._wire.login(action.host)

    def _check(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("stopped while waiting for a server")

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, POLL_S))

    def _request(self, request: Request) -> Response | Failed:
        self._drop()
        try:
            opened = self._wire.open(request, self._sent(request))
        except (faults.HTTPError, OSError, ValueError) as error:
            return failure(error)
        headers = {name.lower(): opened.headers[name] for name in opened.headers}  # repeated ones are joined
        if request.stream and opened.status in (200, 206):
            self._open = opened
            return Response(status=opened.status, headers=headers)
        return self._whole(request, opened, headers)

    def _sent(self, request: Request) -> Iterator[bytes] | None:
        """The body of an upload, piece by piece; None for a request that has none."""
        if request.upload < 0:
            return None
        if self._upload is None:
            raise InternalError("there is nothing to send")
        return self._checked(self._upload)

    def _checked(self, upload: Upload) -> Iterator[bytes]:
        for piece in upload.pieces():
            self._check()
            yield piece

    def _whole(self, request: Request, opened: urllib3.BaseHTTPResponse, headers: dict[str, str]) -> Response | Failed:
        """The answer with its body; of a redirect's or an error's only as much as a message needs."""
        limit = request.limit if opened.status < 300 else min(request.limit, 64 * 1024)
        body = bytearray()
        try:
            while len(body) <= limit and (piece := opened.read(min(CHUNK_BYTES, limit + 1 - len(body)))):
                self._check()
                body += piece
        except (faults.HTTPError, OSError) as error:
            if opened.status < 300:
                return failure(error)
        finally:
            _finish(opened, whole=len(body) <= limit)
        return Response(status=opened.status, headers=headers, body=bytes(body[:limit]), too_large=len(body) > limit)

    def _drain(self, drain: Drain) -> Drained:
        if self._open is None or self._sink is None:
            raise InternalError("there is no body to read")
        received = 0
        try:
            for piece in self._pieces(drain.skip, drain.limit):
                if received + len(piece) > drain.limit:
                    return Drained(received=received, more=True)
                self._sink.write(piece)
                received += len(piece)
        except _CutError as cut:
            return Drained(received=received, cut=str(cut) or "closed early")
        finally:
            self._drop()
        return Drained(received=received)

    def _pieces(self, skip: int, limit: int) -> Iterator[bytes]:
        """The body behind its first `skip` bytes, and at most one byte beyond `limit`."""
        opened, left = self._open, skip + limit + 1
        while opened is not None and left > 0:
            self._check()
            try:
                piece = opened.read(min(CHUNK_BYTES, left))
            except (faults.HTTPError, OSError) as error:
                raise _CutError(failure(error).detail) from None
            if not piece:
                return
            left -= len(piece)
            if skip < len(piece):
                yield piece[skip:] if skip else piece
            skip = max(0, skip - len(piece))

    def _drop(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            _finish(opened, whole=False)


class _CutError(Exception):
    """A body ended early."""


def _finish(opened: urllib3.BaseHTTPResponse, *, whole: bool) -> None:
    """Give the connection back when nothing is left on it, else close it."""
    if not whole or bool(getattr(opened, "length_remaining", None)):
        opened.close()
    opened.release_conn()


def failure(error: Exception) -> Failed:
    """urllib3's and the socket's errors in the words of flows."""
    if isinstance(error, faults.ProxyError):
        inner = failure(error.original_error)
        return Failed(kind=inner.kind, detail=f"the proxy: {inner.detail}")
    if isinstance(error, faults.NameResolutionError):
        return Failed(kind="dns", detail=_reason(error))
    if isinstance(error, faults.TimeoutError | TimeoutError) and not isinstance(error, faults.NewConnectionError):
        return Failed(kind="timeout", detail="")
    if isinstance(error, faults.NewConnectionError):
        refused = isinstance(error.__cause__, ConnectionRefusedError)
        return Failed(kind="refused" if refused else "other", detail="" if refused else _reason(error))
    if isinstance(error, faults.SSLError):
        return _tls_failure(str(error))
    if isinstance(error, faults.ProtocolError | ConnectionError):
        return Failed(kind="cut", detail=_reason(error))
    return Failed(kind="other", detail=_reason(error))


def _tls_failure(text: str) -> Failed:
    plain = any(
        mark in text.upper().replace(" ", "_") for mark in ("WRONG_VERSION_NUMBER", "RECORD_LAYER", "HTTP_REQUEST")
    )
    words = text.partition("] ")[2] or text
    return Failed(kind="plain" if plain else "tls", detail=words.partition(" (_ssl")[0].rstrip(")"))


def _reason(error: BaseException) -> str:
    """The innermost cause that says something."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return text.rpartition(">: ")[2]
