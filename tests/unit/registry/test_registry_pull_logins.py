"""Logins while an image is pulled, in memory: tokens, and whom a secret is shown."""

from __future__ import annotations

import pytest
from pulling import HOST, Setting

from fakes.registry import FakeRegistry, to_json
from jettison.base.errors import NetworkError
from jettison.registry.exchange import Credential, Response


def test_a_bearer_token_is_fetched_once_and_kept() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    setting.resolve()
    assert setting.registry.tokens == 1
    assert setting.registry.token_queries[0] == {"service": ["fake"], "scope": ["repository:app:pull"]}
    setting.resolve()
    assert setting.registry.tokens == 1
    assert setting.world.asked == ["reg.example"]


def test_a_token_that_ran_out_is_fetched_anew() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.registry.anonymous_allowed = True
    setting.resolve()
    setting.registry.valid_tokens.clear()
    setting.resolve()
    assert setting.registry.tokens == 2


def test_an_identity_token_is_posted() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.world.credentials["reg.example"] = Credential(identity_token="identity")
    setting.resolve()
    post = next(request for request in setting.world.requests if request.method == "POST")
    assert b"refresh_token=identity" in post.body
    assert setting.registry.token_queries[0]["grant_type"] == ["refresh_token"]


def test_a_registry_token_is_used_as_it_is() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.registry.valid_tokens.add("given")
    setting.world.credentials["reg.example"] = Credential(registry_token="given")
    setting.resolve()
    assert setting.registry.tokens == 0


def test_basic_login() -> None:
    setting = Setting(FakeRegistry("basic"))
    error = setting.fails()
    assert "401" in error.message
    assert "docker login reg.example" in error.hint
    assert "the test's logins" in error.hint
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="wrong")
    error = setting.fails()
    assert "the login was refused" in error.message
    assert "wrong" not in str(error)
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    assert setting.resolve().digest


def test_a_password_does_not_go_to_a_token_server_without_tls() -> None:
    for realm in ("http://auth.example/token", "file:///etc/passwd", "https://", ""):
        setting = Setting(FakeRegistry("bearer", realm=realm))
        setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
        assert "no token server" in setting.fails().message
        assert all("authorization" not in request.headers for request in setting.world.requests)


def test_a_token_that_could_split_a_header_is_none() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.world.servers["https://auth.example"] = lambda _: Response(
        status=200, body=to_json({"token": "a\r\nHost: evil"})
    )
    assert "gave no token" in setting.fails().message


def test_a_login_stays_with_its_server() -> None:
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    setting.world.servers["https://cdn.example"] = lambda _: Response(status=200, body=b"layer")
    setting.registry.overrides.append(
        lambda request: (
            Response(status=307, headers={"location": "https://cdn.example/x?sig=secret"})
            if "/blobs/" in request.url and "authorization" in request.headers
            else None
        )
    )
    assert setting.fetch(b"layer") == b"layer"
    home = [request for request in setting.world.requests if request.url.startswith(HOST)]
    away = [request for request in setting.world.requests if request.url.startswith("https://cdn")]
    assert any("authorization" in request.headers for request in home)
    assert away
    assert all("authorization" not in request.headers for request in away)


def test_a_401_of_another_host_is_not_answered() -> None:
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    challenge = {"www-authenticate": 'Basic realm="x"'}
    setting.world.servers["https://cdn.example"] = lambda _: Response(status=401, headers=challenge)
    setting.registry.once(Response(status=302, headers={"location": "https://cdn.example/x"}), "/blobs/")
    with pytest.raises(NetworkError, match="401"):
        setting.fetch(b"layer")
    assert len([request for request in setting.world.requests if "cdn" in request.url]) == 1


def test_no_secret_is_shown() -> None:
    setting = Setting(FakeRegistry("bearer"))
    credential = Credential(username="user", password="hunter2", identity_token="")
    setting.world.credentials["reg.example"] = credential
    setting.registry.users = {}
    error = setting.fails()
    assert "hunter2" not in f"{error} {error!r} {credential!r} {setting.world.requests!r}"
