"""Logins of Docker's config.json: which entry is a registry's, and that none is ever shown."""

from __future__ import annotations

import json
import os
from base64 import b64encode

import pytest

from jettison.base.errors import InputError
from jettison.registry.auth import lookup, parse_helper_answer
from jettison.registry.exchange import Credential
from jettison.registry.keychain import run_helper

ADA = Credential(username="ada", password="pass:word")


def encoded(pair: str = "ada:pass:word") -> str:
    return b64encode(pair.encode()).decode()


def none(program: str, key: str) -> Credential | None:
    raise AssertionError((program, key))


def look(tmp_path, config: object, host: str, helper=none, **variables: str):
    if config is not None:
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return lookup(host, {"DOCKER_CONFIG": str(tmp_path), **variables}, helper)


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v1/", "ghcr.io"),
        ("localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_the_entry_of_a_registry(tmp_path, key: str, host: str) -> None:
    found = look(tmp_path, {"auths": {"other.example": {}, key: {"auth": encoded()}}}, host)
    assert found.credential == ADA
    assert found.origin == f"login of {tmp_path}/config.json"
    assert look(tmp_path, None, "evil.example").credential is None


def test_no_file_is_no_login(tmp_path) -> None:
    found = look(tmp_path, None, "ghcr.io")
    assert found.credential is None
    assert str(tmp_path) in found.origin


@pytest.mark.parametrize(
    "config", ["", "{}", {"auths": None}, {"auths": {"ghcr.io": {}}}, {"auths": {"ghcr.io": None}}]
)
def test_an_empty_entry_is_no_login(tmp_path, config: object) -> None:
    found = look(tmp_path, config, "ghcr.io")
    assert found.credential is None
    assert "has no login for ghcr.io" in found.origin


def test_tokens_and_plain_fields(tmp_path) -> None:
    config = {
        "auths": {
            "a": {"identitytoken": "t"},
            "b": {"username": "ada", "password": "pass:word"},
            "c": {"registrytoken": "r"},
        }
    }
    assert look(tmp_path, config, "a").credential == Credential(identity_token="t")
    assert look(tmp_path, config, "b").credential == ADA
    assert look(tmp_path, config, "c").credential == Credential(registry_token="r")


def test_the_variable_comes_first(tmp_path) -> None:
    inline = json.dumps({"auths": {"ghcr.io": {"auth": encoded()}}})
    config = {"auths": {"ghcr.io": {"auth": encoded("bob:x")}, "b": {"auth": encoded("bob:x")}}}
    assert look(tmp_path, config, "ghcr.io", DOCKER_AUTH_CONFIG=inline).credential == ADA
    assert look(tmp_path, config, "b", DOCKER_AUTH_CONFIG=inline).credential.username == "bob"


def test_a_registrys_own_helper_wins(tmp_path) -> None:
    asked = []

    def helper(program: str, key: str) -> Credential | None:
        asked.append((program, key))
        return ADA if program == "docker-credential-own" else None

    config = {
        "credHelpers": {"ghcr.io": "own"},
        "credsStore": "common",
        "auths": {"x": {"auth": encoded("bob:x")}, "ghcr.io": {"auth": encoded("bob:x")}},
    }
    assert look(tmp_path, config, "ghcr.io", helper).credential == ADA
    assert look(tmp_path, config, "x", helper).credential.username == "bob"
    assert look(tmp_path, config, "docker.io", helper).credential is None
    assert asked == [
        ("docker-credential-own", "ghcr.io"),
        ("docker-credential-common", "x"),
        ("docker-credential-common", "https://index.docker.io/v1/"),
    ]


@pytest.mark.parametrize("name", ["../x", "a b", "-x", "", "a/b"])
def test_a_helper_is_named_by_a_plain_word(tmp_path, name: str) -> None:
    config = {"credHelpers": {"ghcr.io": name}}
    if not name:
        assert look(tmp_path, config, "ghcr.io").credential is None
        return
    with pytest.raises(InputError, match="not the name of a credential helper"):
        look(tmp_path, config, "ghcr.io")


@pytest.mark.parametrize(
    "config",
    [
        '{"auths": {"ghcr.io": {"auth": "hunter2"',
        {"auths": {"ghcr.io": {"auth": "hunter2!"}}},
        {"auths": {"ghcr.io": {"auth": encoded("hunter2")}}},
        {"auths": {"ghcr.io": {"auth": 3, "password": "hunter2"}}},
    ],
)
def test_a_damaged_file_is_named_and_not_shown(tmp_path, config: object) -> None:
    with pytest.raises(InputError) as caught:
        look(tmp_path, config, "ghcr.io")
    assert "hunter2" not in str(caught.value)


def test_what_a_helper_answers() -> None:
    assert parse_helper_answer(b'{"ServerURL":"x","Username":"ada","Secret":"pass:word"}') == ADA
    assert parse_helper_answer(b'{"Username":"<token>","Secret":"t"}') == Credential(identity_token="t")
    assert parse_helper_answer(b"{}") is None
    with pytest.raises(ValueError, match="not the JSON"):
        parse_helper_answer(b"secret")


def program(tmp_path, monkeypatch, script: str) -> str:
    path = tmp_path / "docker-credential-test"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return "docker-credential-test"


def test_a_helper_is_run(tmp_path, monkeypatch) -> None:
    script = '[ "$1" = get ] && printf \'{"Username":"%s","Secret":"pass:word"}\' "$(cat)"\n'
    assert run_helper(program(tmp_path, monkeypatch, script), "ada") == ADA


def test_a_helper_may_have_nothing(tmp_path, monkeypatch) -> None:
    name = program(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1\n")
    assert run_helper(name, "x") is None


@pytest.mark.parametrize(
    ("script", "words"), [("echo locked >&2; exit 3", "locked"), ("echo hunter2", "something else")]
)
def test_a_helper_that_fails_is_named(tmp_path, monkeypatch, script: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        run_helper(program(tmp_path, monkeypatch, script), "x")
    assert "hunter2" not in str(caught.value)


def test_a_helper_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match="is not installed"):
        run_helper("docker-credential-that-is-not-there", "x")
