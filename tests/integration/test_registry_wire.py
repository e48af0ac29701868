"""The driver against a server of this machine that answers as it is told: lies, cuts, redirects, TLS, proxies."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Self

import pytest

from fakes.registry import FakeRegistry, sha
from fakes.servers import Answer, Said, Server, certificate, free_port
from jettison.base.errors import Cancelled, InputError, NetworkError
from jettison.oci.documents import Descriptor
from jettison.oci.platform import parse_platform
from jettison.registry.client import Registry
from jettison.registry.config import Patience
from jettison.registry.exchange import Request, Response

AMD64 = parse_platform("linux/amd64")
DATA = bytes(range(256)) * 4096  # a mebibyte
LAYER = Descriptor(media_type="m", digest=sha(DATA), size=len(DATA))


BRISK = Patience(connect_s=5, read_s=5, wait_factor=0.001)


def serve(registry: FakeRegistry) -> Callable[[Said], Answer]:
    """A registry in memory as a server's answers."""

    def answer(said: Said) -> Answer:
        given = registry(Request(url=f"http://host{said.path}", headers=said.headers))
        assert isinstance(given, Response)
        headers = {name: value for name, value in given.headers.items() if name != "content-length"}
        return Answer(given.status, headers, given.body)

    return answer


def variables(tmp_path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), **more}


def fetch(server: Server, tmp_path, descriptor: Descriptor = LAYER, cancel=None) -> bytes:
    sink = io.BytesIO()
    registry = Registry(environ=variables(tmp_path), patience=BRISK)
    try:
        registry.fetch_blob(f"127.0.0.1:{server.port}/app:1", descriptor, sink, cancel=cancel)
    finally:
        registry.close()
    return sink.getvalue()


def blob_server(blob: Callable[[Said], Answer]) -> Server:
    return Server(lambda said: blob(said) if "/blobs/" in said.path else Answer())


def test_the_client_costs_nothing_until_a_request() -> None:
    code = (
        "import sys; from jettison.registry.client import Registry; Registry();"
        "heavy = {'urllib3', 'ssl', 'socket', 'http.client', 'subprocess', 'pathlib', 'tempfile', 'logging', 'email'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_an_image_over_a_socket(tmp_path) -> None:
    registry = FakeRegistry("basic")
    registry.image("app", "1", layer=DATA)
    (tmp_path / "config.json").write_text('{"auths": {"HOST": {"username": "user", "password": "secret"}}}')
    with Server(serve(registry)) as server:
        text = (tmp_path / "config.json").read_text().replace("HOST", f"127.0.0.1:{server.port}")
        (tmp_path / "config.json").write_text(text)
        client = Registry(environ=variables(tmp_path), patience=BRISK)
        image = client.resolve(f"127.0.0.1:{server.port}/app:1", AMD64)
        assert client.document(f"127.0.0.1:{server.port}/app:1").digest == image.digest
        sinks = [io.BytesIO() for _ in range(4)]
        progress: list[int] = []
        threads = [
            threading.Thread(
                target=client.fetch_blob,
                args=(f"127.0.0.1:{server.port}/app:1", image.layers[0], sink, progress.append),
            )
            for sink in sinks
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
    assert all(sink.getvalue() == DATA for sink in sinks)
    assert max(progress) == len(DATA)


def test_a_cut_connection_is_resumed(tmp_path) -> None:
    def answer(said: Said) -> Answer:
        start = int(said.headers.get("range", "bytes=0-")[6:-1])
        rest = DATA[start:]
        headers = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
        return Answer(206 if start else 200, headers, rest[:300_000], length=len(rest), cut=len(rest) > 300_000)

    with blob_server(answer) as server:
        assert fetch(server, tmp_path) == DATA
        ranges = [said.headers.get("range") for said in server.said if "/blobs/" in said.path]
        assert ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(body=b"x" * len(DATA)), "sent other bytes"),
        (Answer(body=DATA + b"x"), "has 1048577 bytes, the manifest says 1048576"),
        (Answer(body=DATA, endless=True), "sends more than the 1048576 bytes"),
        (Answer(body=b"<html>", headers={"Content-Type": "text/html"}), "a web page"),
        (Answer(404), "404"),
        (Answer(500, body=b'{"errors":[{"code":"UNKNOWN","message":"disk full"}]}'), "UNKNOWN: disk full"),
    ],
)
def test_a_server_that_lies(tmp_path, answer: Answer, words: str) -> None:
    with blob_server(lambda _: answer) as server, pytest.raises(NetworkError, match=words):
        fetch(server, tmp_path)


def test_an_endless_document(tmp_path) -> None:
    with Server(lambda said: Answer() if said.path == "/v2/" else Answer(body=b" " * 65536, endless=True)) as server:
        client = Registry(environ=variables(tmp_path), patience=BRISK)
        with pytest.raises(NetworkError, match="more than 4194304 bytes"):
            client.resolve(f"127.0.0.1:{server.port}/app:1", AMD64)
        client.close()


def test_a_login_stays_with_its_server(tmp_path) -> None:
    registry = FakeRegistry("basic")
    registry.put_blob(DATA)
    with Server(lambda _: Answer(body=DATA)) as cdn:
        inner = serve(registry)

        def answer(said: Said) -> Answer:
            given = inner(said)
            there = "/blobs/" in said.path and given.status == 200
            return Answer(307, {"Location": f"{cdn.url}/signed?key=secret"}) if there else given

        with Server(answer) as server:
            login = f'{{"auths": {{"127.0.0.1:{server.port}": {{"username": "user", "password": "secret"}}}}}}'
            (tmp_path / "config.json").write_text(login)
            assert fetch(server, tmp_path) == DATA
        assert [said.path for said in cdn.said] == ["/signed?key=secret"]
        assert "authorization" not in cdn.said[0].headers


def test_nobody_listens(tmp_path) -> None:
    client = Registry(environ=variables(tmp_path), patience=BRISK)
    with pytest.raises(NetworkError, match="connection refused") as caught:
        client.resolve(f"127.0.0.1:{free_port()}/app:1", AMD64)
    assert "oci-layout://DIR" in caught.value.hint


def test_a_name_that_cannot_be_resolved(tmp_path) -> None:
    client = Registry(environ=variables(tmp_path), patience=BRISK)
    with pytest.raises(NetworkError, match="its name cannot be resolved"):
        client.resolve("registry.invalid/app:1", AMD64)


def test_a_server_that_says_nothing(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        patience = Patience(connect_s=0.05, read_s=0.05, wait_factor=0.001)
        client = Registry(environ=variables(tmp_path), patience=patience)
        with pytest.raises(NetworkError, match="did not answer in time"):
            client.resolve(f"127.0.0.1:{listener.getsockname()[1]}/app:1", AMD64)
        client.close()


def test_a_download_stops_when_asked(tmp_path) -> None:
    asked = threading.Event()

    def answer(_: Said) -> Answer:
        asked.set()
        return Answer(body=DATA, endless=True)

    with blob_server(answer) as server, pytest.raises(Cancelled):
        fetch(server, tmp_path, Descriptor(media_type="m", digest=sha(DATA), size=1 << 40), cancel=asked)


def test_what_the_sink_raises_goes_through(tmp_path) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    with blob_server(lambda _: Answer(body=DATA)) as server:
        client = Registry(environ=variables(tmp_path), patience=BRISK)
        with pytest.raises(OSError, match="No space left"):
            client.fetch_blob(f"127.0.0.1:{server.port}/app:1", LAYER, Full())
        client.close()


class Tls:
    """A registry `reg.example` with a certificate of its own, which only the proxy can reach."""

    def __init__(self, tmp_path) -> None:
        os.makedirs(tmp_path / "server")
        self.certificate, context = certificate(str(tmp_path / "server"), "reg.example", "127.0.0.1")
        registry = FakeRegistry()
        registry.image("app", "1")
        self.server = Server(serve(registry), context)
        self.proxy = Server(self._answer)
        self.environ = variables(tmp_path, HTTPS_PROXY=f"http://ada:secret@127.0.0.1:{self.proxy.port}")

    def _answer(self, said: Said) -> Answer:
        return Answer(body=f"127.0.0.1:{self.server.port}".encode())

    def __enter__(self) -> Self:
        self.server.__enter__()
        self.proxy.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self.server.__exit__()

    def resolve(self, **more: str) -> str:
        client = Registry(environ=self.environ | more, patience=BRISK)
        try:
            return client.resolve("reg.example/app:1", AMD64).digest
        finally:
            client.close()


@pytest.fixture
def tls(tmp_path):
    with Tls(tmp_path) as made:
        yield made


def test_a_certificate_that_nobody_vouches_for(tls: Tls) -> None:
    with pytest.raises(NetworkError, match="certificate was not accepted") as caught:
        tls.resolve()
    assert "SSL_CERT_FILE" in caught.value.hint
    assert "certs.d/reg.example" in caught.value.hint


def test_ways_to_trust(tls: Tls, tmp_path) -> None:
    assert tls.resolve(SSL_CERT_FILE=tls.certificate)
    assert tls.proxy.said[0].path == "reg.example:443"
    assert tls.proxy.said[0].headers["proxy-authorization"].startswith("Basic ")
    assert tls.resolve(JETTISON_INSECURE_REGISTRIES="reg.example")
    folder = tmp_path / "docker" / "certs.d" / "reg.example"
    folder.mkdir(parents=True)
    with open(tls.certificate) as file:
        (folder / "ca.crt").write_text(file.read())
    assert tls.resolve()


def test_certificates_that_cannot_be_read(tls: Tls, tmp_path) -> None:
    with pytest.raises(InputError, match="SSL_CERT_FILE"):
        tls.resolve(SSL_CERT_FILE=str(tmp_path / "none"))
    folder = tmp_path / "docker" / "certs.d" / "reg.example"
    folder.mkdir(parents=True)
    (folder / "client.cert").write_text("none")
    with pytest.raises(InputError, match=r"certs\.d"):
        tls.resolve()


def test_a_server_without_tls(tmp_path) -> None:
    with (
        Server(lambda _: Answer()) as plain,
        Server(lambda _: Answer(body=f"127.0.0.1:{plain.port}".encode())) as proxy,
    ):
        client = Registry(environ=variables(tmp_path, HTTPS_PROXY=proxy.url))
        with pytest.raises(NetworkError, match="does not speak TLS") as caught:
            client.resolve("reg.example/app:1", AMD64)
        assert "JETTISON_INSECURE_REGISTRIES=reg.example" in caught.value.hint
        client.close()


def test_a_proxy_that_refuses(tmp_path) -> None:
    with Server(lambda _: Answer(403)) as proxy:
        environ = variables(tmp_path, HTTPS_PROXY=f"http://ada:secret@127.0.0.1:{proxy.port}")
        client = Registry(environ=environ, patience=BRISK)
        with pytest.raises(NetworkError, match="the proxy") as caught:
            client.resolve("reg.example/app:1", AMD64)
        assert "secret" not in str(caught.value)
        client.close()


def test_a_mirror_of_the_configuration(tmp_path) -> None:
    registry = FakeRegistry()
    registry.image("library/busybox", "latest")
    with Server(serve(registry)) as server:
        client = Registry(environ=variables(tmp_path, JETTISON_REGISTRY_MIRRORS=f"docker.io={server.url}"))
        assert client.resolve("busybox", AMD64).endpoint == f"127.0.0.1:{server.port}"
        client.close()
