"""Real servers of 127.0.0.1 for tests: one that answers as it is told, honest or not, and a proxy."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import NamedTuple, Self


class Said(NamedTuple):
    """One request as the server got it; names of headers are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """`length`: the Content-Length that is claimed. `cut`: the connection breaks after the body. `endless`: the body is
    sent over and over.
    """

    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    length: int | None = None
    cut: bool = False
    endless: bool = False


class Server:
    """`answer` is called for every request, in its connection's thread; `said` keeps them all."""

    def __init__(self, answer: Callable[[Said], Answer], context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.said: list[Said] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                outer._serve(self)

            do_GET = do_HEAD = do_POST = do_CONNECT = handle_any

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self.port = self._server.server_address[1]
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        said = Said(handler.command, handler.path, headers, body)
        self.said.append(said)
        if said.method == "CONNECT":
            self._tunnel(handler, said)
            return
        answer = self.answer(said)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.endless:
            handler.close_connection = True
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(answer.body)
            except OSError:
                return
        if answer.status != 304:
            handler.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        handler.end_headers()
        handler.wfile.write(answer.body)
        handler.wfile.flush()
        if answer.cut:
            handler.close_connection = True

    def _tunnel(self, handler: BaseHTTPRequestHandler, said: Said) -> None:
        """CONNECT: `answer` gives 200 with the real address as its body."""
        answer = self.answer(said)
        handler.send_response(answer.status)
        handler.end_headers()
        handler.close_connection = True
        if answer.status != 200:
            return
        host, _, port = answer.body.decode().partition(":")
        with socket.create_connection((host, int(port))) as far:
            near = handler.connection
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    (far if ready is near else near).sendall(data)


def certificate(folder: str, *names: str) -> tuple[str, ssl.SSLContext]:
    """A new certificate for those names, signed by itself: its file, and a server's settings with it."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    alternatives = ",".join(f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in names)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", f"subjectAltName={alternatives}", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: list[str], port: int, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A server program while it runs; entered when it listens on `port`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        _await_port(process, port)
        yield process
    finally:
        process.terminate()
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    ended = threading.Event()
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        ended.wait(0.02)
    raise AssertionError(f"the server ended, or does not listen: {process.args}")
