"""Servers that redirect, fail, cut off or lie while an image is pulled, in memory."""

from __future__ import annotations

import pytest
from pulling import HOST, Setting

from fakes.registry import FakeRegistry
from jettison.base.errors import NetworkError
from jettison.registry.config import RegistryConfig
from jettison.registry.exchange import Failed, Response
from jettison.registry.flow import ATTEMPTS


@pytest.mark.parametrize("location", ["http://reg.example/x", "file:///etc/passwd", ""])
def test_a_redirect_leads_nowhere_unsafe(location: str) -> None:
    setting = Setting()
    setting.registry.once(Response(status=302, headers={"location": location}), "/manifests/")
    assert "redirects" in setting.fails().message


def test_redirects_end() -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda request: Response(status=302, headers={"location": request.url + "x"}))
    assert "more than 10 times" in setting.fails().message


def test_what_passes_is_tried_again() -> None:
    setting = Setting()
    setting.registry.once(Response(status=429, headers={"retry-after": "7"}))
    setting.registry.once(Response(status=503))
    setting.registry.once(Failed(kind="cut", detail=""))
    assert setting.resolve().digest
    assert setting.world.waits == [7.0, 1.0, 2.0]


def test_a_server_that_stays_busy_is_given_up() -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda _: Response(status=429, headers={"retry-after": "100000"}))
    error = setting.fails()
    assert "429" in error.message
    assert "docker login" in error.hint
    assert setting.world.waits == [30.0] * (ATTEMPTS - 1)


def test_a_server_that_is_silent_is_asked_once_more() -> None:
    setting = Setting()
    setting.registry.once(Failed(kind="timeout", detail=""))
    assert setting.resolve().digest
    setting.registry.overrides.append(lambda _: Failed(kind="timeout", detail=""))
    asked = len(setting.world.urls())
    assert "did not answer in time" in setting.fails().message
    assert len(setting.world.urls()) - asked == 2


@pytest.mark.parametrize("kind", ["refused", "dns", "tls", "plain"])
def test_what_does_not_pass_is_not(kind: str) -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda _: Failed(kind=kind, detail="because"))
    error = setting.fails()
    assert "reg.example" in error.message
    assert setting.world.waits == []
    hints = {"tls": "SSL_CERT_FILE", "plain": "JETTISON_INSECURE_REGISTRIES=reg.example"}
    assert hints.get(kind, "--build-context reg.example/app=oci-layout://") in error.hint


def test_what_is_not_there_is_named() -> None:
    error = Setting().fails(reference="reg.example/app:2")
    assert error.message.startswith("reg.example/app:2: reg.example answered 404")
    assert "MANIFEST_UNKNOWN: manifest unknown" in error.message
    assert "mistyped" in error.hint


def test_a_mirror_is_asked_first() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    mirror = FakeRegistry()
    mirror.image("app", "1")
    setting.world.servers["https://mirror.example"] = mirror
    setting.resolve()
    assert all("mirror.example" in url for url in setting.world.urls())


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=404),
        Response(status=500),
        Response(status=403),
        Failed(kind="refused", detail=""),
        Response(status=200, headers={"content-type": "text/html"}, body=b"<html>"),
        Response(status=200, body=b"x" * (4 << 20 | 1)),
    ],
)
def test_a_mirror_that_fails_is_passed_over(answer: Response | Failed) -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example/v2/cache",)}))
    setting.world.servers["https://mirror.example"] = lambda _: answer
    assert setting.resolve().digest
    assert setting.fetch(b"layer", restartable=True) == b"layer"
    assert setting.world.requests[0].url == "https://mirror.example/v2/cache/app/manifests/1"


def test_a_mirror_that_lies_is_found_out() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    setting.world.servers["https://mirror.example"] = lambda _: Response(status=200, body=b"a lie")
    with pytest.raises(NetworkError, match=r"mirror\.example sent other bytes"):
        setting.fetch(b"layer")
    assert setting.fetch(b"layer", restartable=True) == b"layer"


def test_when_all_fail_the_registry_has_the_word() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    error = setting.fails(reference="reg.example/app:2")
    assert error.message.index("reg.example answered 404") < error.message.index("mirror: ")
    assert "mirror.example: connection refused" in error.message


def test_a_blob_goes_on_at_the_next_server() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    data = bytes(range(256)) * 10
    for registry, host in ((FakeRegistry(), "https://mirror.example"), (setting.registry, HOST)):
        registry.put_blob(data)
        setting.world.servers[host] = registry
    setting.world.cuts = [100, 0, 0, 0, 0]
    setting.world.servers["https://mirror.example"].overrides.append(
        lambda request: Response(status=410) if "range" in request.headers else None
    )
    assert setting.fetch(data) == data
    assert setting.world.requests[-1].headers["range"] == "bytes=100-"


def test_a_cut_connection_is_resumed() -> None:
    setting = Setting()
    data = bytes(range(256)) * 10
    setting.registry.put_blob(data)
    setting.world.cuts = [1000, 500, 700]
    assert setting.fetch(data) == data
    ranges = [request.headers.get("range") for request in setting.world.requests]
    assert ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=2200-"]


def test_a_server_without_ranges_is_read_from_the_start() -> None:
    setting = Setting()
    data = bytes(range(256)) * 10
    setting.registry.overrides.append(
        lambda request: Response(status=200, body=data) if "/blobs/" in request.url else None
    )
    setting.world.cuts = [1000]
    assert setting.fetch(data) == data


def test_a_server_that_gives_nothing_is_given_up() -> None:
    setting = Setting()
    setting.registry.put_blob(b"data")
    setting.world.cuts = [0] * 20
    with pytest.raises(NetworkError, match="the connection was cut"):
        setting.fetch(b"data")
    assert len(setting.world.requests) == ATTEMPTS


def test_another_range_than_asked_for_is_refused() -> None:
    setting = Setting()
    data = b"0123456789"
    setting.registry.put_blob(data)
    setting.world.cuts = [4]
    setting.registry.overrides.append(
        lambda request: (
            Response(status=206, headers={"content-range": "bytes 6-9/10"}, body=data[6:])
            if "range" in request.headers
            else None
        )
    )
    with pytest.raises(NetworkError, match="another range"):
        setting.fetch(data)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response(status=200, body=b"other"), "other bytes"),
        (Response(status=200, body=b"layer and more"), "more than the 5 bytes"),
        (Response(status=200, headers={"content-length": "4"}, body=b"laye"), "has 4 bytes, the manifest says 5"),
        (Response(status=200, body=b"laye"), "after 4 of 5 bytes"),
    ],
)
def test_a_blob_must_be_what_its_digest_says(answer: Response, words: str) -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda _: answer)
    with pytest.raises(NetworkError, match=words):
        setting.fetch(b"layer")


def test_an_empty_blob_is_a_blob() -> None:
    setting = Setting()
    setting.registry.put_blob(b"")
    assert setting.fetch(b"") == b""


def test_a_foreign_layer_is_fetched_where_it_says() -> None:
    setting = Setting()
    setting.world.servers["https://elsewhere.example"] = lambda _: Response(status=200, body=b"foreign")
    urls = ("http://plain.example/x", "https://elsewhere.example/x")
    assert setting.fetch(b"foreign", urls=urls) == b"foreign"


def test_a_local_registry_is_asked_in_the_protocol_that_it_speaks() -> None:
    setting = Setting()
    setting.world.servers["http://localhost:5000"] = setting.registry
    setting.resolve("localhost:5000/app:1")
    setting.resolve("localhost:5000/app:1")
    pings = [url for url in setting.world.urls() if url.endswith("/v2/")]
    assert pings == ["http://localhost:5000/v2/"]

    setting = Setting()
    wants_tls = Response(status=400, body=b"Client sent an HTTP request to an HTTPS server.")
    setting.world.servers["http://localhost:5000"] = lambda _: wants_tls
    setting.world.servers["https://localhost:5000"] = setting.registry
    setting.resolve("localhost:5000/app:1")
    assert setting.world.requests[-1].verify is False


def test_an_insecure_registry_is_asked_with_tls_first() -> None:
    setting = Setting(config=RegistryConfig(insecure=("lan:5000",)))
    setting.world.servers["http://lan:5000"] = setting.registry
    setting.resolve("lan:5000/app:1")
    assert setting.world.urls()[:2] == ["https://lan:5000/v2/", "http://lan:5000/v2/"]
