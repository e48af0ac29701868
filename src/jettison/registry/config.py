"""Which servers are asked for which registry: mirrors, insecure registries, Docker Hub's other name. Typed.

Read from `$XDG_CONFIG_HOME/jettison/registries.json` (or `~/.config/...`):

    {"mirrors": {"docker.io": ["https://mirror.example"]}, "insecure": ["registry.lan:5000"]}

and from the environment, which comes first: `JETTISON_REGISTRY_MIRRORS="docker.io=http://127.0.0.1:5000 ..."` and
`JETTISON_INSECURE_REGISTRIES="registry.lan:5000 ..."`, entries parted by blanks or commas.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from jettison.base.errors import InputError
from jettison.oci.reference import DEFAULT_DOMAIN

MIRRORS_VARIABLE = "JETTISON_REGISTRY_MIRRORS"
INSECURE_VARIABLE = "JETTISON_INSECURE_REGISTRIES"
DOCKER_HUB = "registry-1.docker.io"
MAX_CONFIG_FILE = 1 << 20


class RegistryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`mirrors`: base URLs by registry, tried in order before the registry itself. A path that has `/v2` in it is
    taken as it stands (`https://HOST/v2/PROJECT`), else `/v2` is added. `insecure`: hosts (with port) whose
    certificates are not checked and that may speak plain HTTP; this machine's own always may.
    """

    mirrors: dict[str, tuple[str, ...]] = {}
    insecure: tuple[str, ...] = ()


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long servers are waited for, in seconds: for a connection, for the next bytes; and what the waits between
    attempts are multiplied by.
    """

    connect_s: float = 15.0
    read_s: float = 60.0
    wait_factor: float = 1.0


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One server to ask. `base` is a URL that ends in `/v2` or below; `login` the name that credentials have."""

    base: str
    login: str
    verify: bool = True
    mirror: bool = False

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return authority(self.base)


def load_config(environ: Mapping[str, str] | None = None) -> RegistryConfig:
    """The configuration of this user. Raises InputError for a file or variable that is wrong."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    stored = _read(os.path.join(base, "jettison", "registries.json"))
    mirrors = dict(_variable_mirrors(environ.get(MIRRORS_VARIABLE, "")))
    for name, urls in stored.mirrors.items():
        mirrors[name] = (*mirrors.get(name, ()), *(_checked(url, "registries.json") for url in urls))
    insecure = (*_entries(environ.get(INSECURE_VARIABLE, "")), *stored.insecure)
    return RegistryConfig(mirrors=mirrors, insecure=tuple(dict.fromkeys(insecure)))


def _read(path: str) -> RegistryConfig:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CONFIG_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return RegistryConfig()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="make it readable, or remove it") from None
    try:
        return msgspec.json.decode(data, type=RegistryConfig)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = 'it looks like {"mirrors": {"docker.io": ["https://MIRROR"]}, "insecure": ["HOST:PORT"]}'
        raise InputError(f"{path}: {error}", hint=hint) from None


def _variable_mirrors(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entry in _entries(text):
        name, equals, url = entry.partition("=")
        if not name or not equals:
            raise InputError(f"{MIRRORS_VARIABLE}: {entry!r} is not REGISTRY=URL", hint="docker.io=https://MIRROR")
        found[name] = (*found.get(name, ()), _checked(url, MIRRORS_VARIABLE))
    return found


def _entries(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _checked(url: str, where: str) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme not in ("http", "https") or not separator or not authority(url) or set("?#@") & set(rest):
        hint = "write http://HOST[:PORT][/PATH] or https://...; logins belong to `docker login`"
        raise InputError(f"{where}: a mirror's address is not a URL of that form", hint=hint)
    return url.rstrip("/")


def endpoints(config: RegistryConfig, domain: str) -> tuple[Endpoint, ...]:
    """The servers to ask for images of `domain`, in order: its mirrors, then itself.

    A registry that may be insecure is there twice: the second is asked when the first does not speak its protocol.
    """
    mirrors = config.mirrors.get(domain, ())
    return (*(_mirror(config, url) for url in mirrors), *_own(config, domain))


def _mirror(config: RegistryConfig, url: str) -> Endpoint:
    host = authority(url)
    path = url.partition("://")[2].partition("/")[2]
    base = url if "v2" in path.split("/") else f"{url}/v2"
    return Endpoint(base=base, login=host, verify=not _lax(config, host), mirror=True)


def _own(config: RegistryConfig, domain: str) -> tuple[Endpoint, ...]:
    host = DOCKER_HUB if domain == DEFAULT_DOMAIN else domain
    if not _lax(config, host) and not _lax(config, domain):
        return (Endpoint(base=f"https://{host}/v2", login=domain),)
    secure = Endpoint(base=f"https://{host}/v2", login=domain, verify=False)
    plain = Endpoint(base=f"http://{host}/v2", login=domain, verify=False)
    return (plain, secure) if is_local(host) else (secure, plain)


def _lax(config: RegistryConfig, host: str) -> bool:
    return is_local(host) or host in config.insecure


def is_local(host: str) -> bool:
    """Whether a host (with port) is this machine, whose registries need no TLS."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name in ("localhost", "::1") or name.endswith(".localhost") or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() and int(part) < 256 for part in parts)


def authority(url: str) -> str:
    """Host and port of a URL, without user and password."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0].rpartition("@")[2]
