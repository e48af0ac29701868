"""Logins as Docker keeps them: `config.json` with auths, credHelpers and credsStore. Secrets stay out of all messages.

Looked at in this order: `$DOCKER_AUTH_CONFIG` (the document itself, as GitLab's runners give it), then
`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. In one document a registry's own helper comes first, then
the common one, then what is written down.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping

import msgspec

from jettison.base.errors import InputError
from jettison.registry.exchange import Credential, Lookup

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
MAX_CONFIG_BYTES = 4 << 20
TOKEN_USER = "<token>"  # noqa: S105 - a helper's mark: what it gave is an identity token
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

RunHelper = Callable[[str, str], Credential | None]  # (program, server key) -> what it gave


class _Auth(msgspec.Struct, frozen=True, rename="lower"):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    def __repr__(self) -> str:
        return "_Auth(...)"


class _Config(msgspec.Struct, frozen=True):
    auths: dict[str, _Auth | None] | None = None
    cred_helpers: dict[str, str] | None = msgspec.field(name="credHelpers", default=None)
    creds_store: str | None = msgspec.field(name="credsStore", default=None)


def lookup(host: str, environ: Mapping[str, str], run_helper: RunHelper) -> Lookup:
    """The login for registry `host` (`docker.io`, `ghcr.io`, `localhost:5000`), and where it was looked for.

    Raises InputError for a configuration that cannot be read, and what `run_helper` raises.
    """
    inline = environ.get("DOCKER_AUTH_CONFIG", "")
    if inline:
        found = _look_in(_parse(inline.encode("utf-8", "surrogateescape"), "$DOCKER_AUTH_CONFIG"), host, run_helper)
        if found is not None:
            return Lookup(credential=found, origin="login of $DOCKER_AUTH_CONFIG")
    path = config_path(environ)
    config = _read(path)
    if config is None:
        return Lookup(origin=f"no login: there is no {path}")
    found = _look_in(config, host, run_helper)
    return Lookup(credential=found, origin=f"login of {path}" if found else f"{path} has no login for {host}")


def config_path(environ: Mapping[str, str]) -> str:
    """Where Docker's `config.json` is, whether it exists or not."""
    folder = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".docker")
    return os.path.join(folder, "config.json")


def _read(path: str) -> _Config | None:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CONFIG_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        hint = "make it readable, or name another folder in DOCKER_CONFIG"
        raise InputError(f"{path}: {error.strerror}", hint=hint) from None
    return _parse(data, path)


def _parse(data: bytes, where: str) -> _Config:
    """The document; a fault is named by its place alone, since its text may hold a secret."""
    try:
        return msgspec.json.decode(data, type=_Config) if data.strip() else _Config()
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}", hint="docker login writes it anew") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError(f"{where} is not valid JSON", hint="docker login writes it anew") from None


def _look_in(config: _Config, host: str, run_helper: RunHelper) -> Credential | None:
    key = DOCKER_HUB_KEY if host == "docker.io" else host
    helpers = config.cred_helpers or {}
    own = helpers.get(host) or helpers.get(key)
    for helper in (own, config.creds_store):
        if helper:
            found = run_helper(program_of(helper), key)
            if found is not None or helper == own:
                return found
    return _written(config.auths or {}, host, key)


def program_of(helper: str) -> str:
    """The program of a credential helper. Raises InputError for a name that is no plain word: it names a program."""
    if not _PROGRAM.fullmatch(helper):
        raise InputError(f"{helper!r} is not the name of a credential helper", hint="look at Docker's config.json")
    return f"docker-credential-{helper}"


def _written(auths: Mapping[str, _Auth | None], host: str, key: str) -> Credential | None:
    entry = auths.get(key) or auths.get(host)
    if entry is None:
        entry = next((auth for name, auth in auths.items() if auth and _host_of(name) == host), None)
    return None if entry is None else _credential(entry, host)


def _host_of(key: str) -> str:
    """The registry of a key of `auths`, which may be a URL of old."""
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host


def _credential(entry: _Auth, host: str) -> Credential | None:
    username, password = entry.username, entry.password
    if entry.auth:
        try:
            pair = b64decode(entry.auth, validate=True).decode("utf-8", "surrogateescape")
        except ValueError:
            raise InputError(f"the login for {host} is damaged", hint=f"docker login {host}") from None
        username, colon, password = pair.partition(":")
        if not colon:
            raise InputError(f"the login for {host} is damaged", hint=f"docker login {host}")
    found = Credential(
        username=username,
        password=password.rstrip("\0"),
        identity_token=entry.identitytoken,
        registry_token=entry.registrytoken,
    )
    return None if found == Credential() else found


class _Answer(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


def parse_helper_answer(data: bytes) -> Credential | None:
    """What a credential helper printed; None when it names nobody. Raises ValueError for anything else."""
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not the JSON of a credential helper") from None
    if answer.username == TOKEN_USER:
        return Credential(identity_token=answer.secret)
    return Credential(username=answer.username, password=answer.secret) if answer.username else None
