"""Mirrors, insecure registries, proxies, challenges: what is configured and what a header says."""

from __future__ import annotations

import pytest

from jettison.base.errors import InputError
from jettison.registry.challenge import Challenge, parse_challenges, parse_token
from jettison.registry.complaint import server_words
from jettison.registry.config import RegistryConfig, endpoints, is_local, load_config
from jettison.registry.exchange import Response, redacted
from jettison.registry.proxy import proxy_for
from jettison.registry.shown import shown


def load(tmp_path, text: str | None = None, **variables: str) -> RegistryConfig:
    if text is not None:
        (tmp_path / "jettison").mkdir()
        (tmp_path / "jettison" / "registries.json").write_text(text)
    return load_config({"XDG_CONFIG_HOME": str(tmp_path), **variables})


def test_without_a_file_there_is_nothing(tmp_path) -> None:
    assert load(tmp_path) == RegistryConfig()


def test_the_environment_comes_first(tmp_path) -> None:
    config = load(
        tmp_path,
        '{"mirrors": {"docker.io": ["https://two/"], "ghcr.io": ["https://three"]}, "insecure": ["a:1"]}',
        JETTISON_REGISTRY_MIRRORS="docker.io=http://127.0.0.1:5000, docker.io=https://one",
        JETTISON_INSECURE_REGISTRIES="b a:1",
    )
    assert config.mirrors == {
        "docker.io": ("http://127.0.0.1:5000", "https://one", "https://two"),
        "ghcr.io": ("https://three",),
    }
    assert config.insecure == ("b", "a:1")
    bases = [endpoint.base for endpoint in endpoints(config, "docker.io")]
    assert bases == ["http://127.0.0.1:5000/v2", "https://one/v2", "https://two/v2", "https://registry-1.docker.io/v2"]


@pytest.mark.parametrize("text", ["{", '{"mirror": {}}', '{"mirrors": []}', '{"mirrors": {"docker.io": ["ftp://x"]}}'])
def test_a_wrong_file_is_an_error(tmp_path, text: str) -> None:
    with pytest.raises(InputError, match=r"registries\.json"):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["docker.io", "=x", "docker.io=x", "docker.io=http://u:secret@host"])
def test_a_wrong_variable_is_an_error(tmp_path, text: str) -> None:
    with pytest.raises(InputError, match="JETTISON_REGISTRY_MIRRORS") as caught:
        load(tmp_path, JETTISON_REGISTRY_MIRRORS=text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:80", True),
        ("127.1.2.3", True),
        ("[::1]:5000", True),
        ("x.localhost", True),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
    ],
)
def test_what_is_this_machine(host: str, local: bool) -> None:
    assert is_local(host) is local


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://a.example/", {}, None),
        ("https://a.example/", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.example/", {"https_proxy": "p:1"}, "http://p:1"),
        ("http://a.example/", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http://a.example/", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("https://localhost:5/", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://127.0.0.1/", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://a.example/", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://a.example/", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x, a.example"}, None),
        ("https://b.a.example/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a.example"}, None),
        ("https://ba.example/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a.example"}, "http://p:1"),
        ("https://a.example/", {"HTTPS_PROXY": "http://p:1", "no_proxy": ".a.example"}, "http://p:1"),
        ("https://b.a.example/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "*.a.example"}, None),
        ("https://a.example:8443/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a.example:443"}, "http://p:1"),
        ("https://a.example/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a.example:443"}, None),
        ("https://10.1.2.3/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "10.0.0.0/8"}, None),
        ("https://[fd00::1]/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "fd00::/8"}, None),
        ("https://11.1.2.3/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "10.0.0.0/8"}, "http://p:1"),
    ],
)
def test_which_proxy(url: str, variables: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, variables) == proxy


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="a \\"b\\", c"', [("basic", {"realm": 'a "b", c'})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"})],
        ),
        (
            'Negotiate, Basic realm=x, Bearer Realm="y"',
            [("negotiate", {}), ("basic", {"realm": "x"}), ("bearer", {"realm": "y"})],
        ),
        ("=,=", []),
    ],
)
def test_challenges(header: str, challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert list(parse_challenges(header)) == [Challenge(scheme=name, parameters=given) for name, given in challenges]


def test_tokens() -> None:
    assert parse_token(b'{"token": "a", "expires_in": 3}') == "a"
    assert parse_token(b'{"access_token": "b"}') == "b"
    for body in (b"", b"[]", b'{"token": 3}', b'{"token": "a b"}', '{"token": "ä"}'.encode(), b'{"token":"\\n"}'):
        assert parse_token(body) == ""


@pytest.mark.parametrize(
    ("url", "shown_as"),
    [
        ("https://u:p@h/x?sig=1#f", "https://h/x"),
        ("http://h", "http://h"),
        ("git@h:x/y.git", "h:x/y.git"),
        ("https://h/a@b", "https://h/a@b"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown_as: str) -> None:
    assert redacted(url) == shown_as


def test_a_servers_words_are_made_safe() -> None:
    assert shown("a\x1b[31m\r\nb" + "c" * 900).startswith("a [31m b")
    assert len(shown("c" * 900)) == 300
    assert server_words(Response(status=400, body=b'{"errors":[{"code":"A","message":"b"},{"code":"C"}]}')) == "A: b; C"
    for body in (b"<html>", b"[]", b'{"errors": 3}', b'{"errors":[{"code":["x"]}]}', b"\xff"):
        assert "html" not in server_words(Response(status=400, body=body))
