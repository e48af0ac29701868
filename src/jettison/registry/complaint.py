"""What a server did wrong, in words: what was asked, who answered what, and what to do about it. Pure.

No URL is shown with its query or its user, and no text of a server's without its control characters.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jettison.base.errors import NetworkError
from jettison.registry.config import INSECURE_VARIABLE, MIRRORS_VARIABLE
from jettison.registry.exchange import Failed, Response
from jettison.registry.shown import shown

_FAILURES = {
    "dns": "its name cannot be resolved",
    "refused": "connection refused",
    "timeout": "it did not answer in time",
    "tls": "its certificate was not accepted",
    "plain": "it does not speak TLS",
    "cut": "the connection was cut",
    "other": "the connection failed",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances of a request, for messages: what was wanted, of whom, logged in how.

    `what` is a reference or a blob of one, `host` the server, `login` its name for `docker login`, `origin` where a
    credential was looked for ("" as long as nobody asked), `secret` the id of the build secret that logs in where
    `docker login` has no say, `offline_hint` what to do without a network. `writes`: something was to be stored there.
    """

    what: str
    host: str
    login: str = ""
    origin: str = ""
    secret: str = ""
    logged_in: bool = False
    offline_hint: str = ""
    writes: bool = False


def complaint(asked: Asked, answer: Response | Failed) -> NetworkError:
    """The error for an answer that is none."""
    if isinstance(answer, Failed):
        return NetworkError(f"{asked.what}: {asked.host}: {_failure(answer)}", hint=_failure_hint(asked, answer))
    said = server_words(answer)
    message = f"{asked.what}: {asked.host} answered {answer.status}" + (f" ({said})" if said else "")
    explained, hint = _explained(asked, answer, said)
    return NetworkError(f"{message}: {explained}" if explained else message, hint=hint)


def _failure(failed: Failed) -> str:
    words = _FAILURES.get(failed.kind, _FAILURES["other"])
    detail = shown(failed.detail)
    return f"{words} ({detail})" if detail else words


def _failure_hint(asked: Asked, failed: Failed) -> str:
    match failed.kind:
        case "tls":
            return (
                f"if the server has a certificate of its own, name its CA in SSL_CERT_FILE or put it into "
                f"/etc/docker/certs.d/{asked.host}/; to do without the check, name {asked.host} in {INSECURE_VARIABLE}"
            )
        case "plain":
            return f"a registry without TLS must be named: {INSECURE_VARIABLE}={asked.host}"
        case _:
            return asked.offline_hint or "check the address and the network (HTTPS_PROXY, NO_PROXY)"


def offline_hint(name: str) -> str:
    """What to do when the registry of a base cannot be reached."""
    return (
        f"is this machine offline, or behind a proxy (HTTPS_PROXY)? A base can also come from a directory: "
        f"--build-context {name}=oci-layout://DIR, or from a mirror named in {MIRRORS_VARIABLE}"
    )


def _explained(asked: Asked, answer: Response, said: str) -> tuple[str, str | None]:
    match answer.status:
        case 401 | 403 if asked.secret:
            refused = "the login was refused, or may not read it" if asked.logged_in else "it needs a login"
            return refused, f"--secret id={asked.secret},env=NAME gives the token for this server"
        case 401 | 403 if asked.logged_in:
            may = "write" if asked.writes else "read"
            return f"the login was refused, or may not {may} it", f"docker login {asked.login} ({asked.origin})"
        case 401 | 403 if asked.writes:
            return "writing needs a login", f"docker login {asked.login or asked.host}"
        case 401 | 403:
            origin = f" ({asked.origin})" if asked.origin else ""
            return "it does not exist, or needs a login", f"docker login {asked.login or asked.host}{origin}"
        case 404 if asked.writes:
            return "there is no such repository to write to", "some registries want it made first"
        case 404 if asked.login:
            return "there is no such image", "is the tag or the name mistyped, or the image not pushed yet?"
        case 404:
            return "there is no such file", "check the address"
        case 429:
            hint = f"log in for a higher limit (docker login {asked.login}), or name a mirror in {MIRRORS_VARIABLE}"
            return "it gets too many requests", hint if asked.login else "try again later"
        case status if 300 <= status < 400:
            return "it redirects to nowhere", None
        case status if status >= 500:
            return "" if said else "the server failed", "try again later"
        case _:
            return "", None


class _Fault(msgspec.Struct):
    code: Any = ""
    message: Any = ""


class _Faults(msgspec.Struct):
    errors: list[_Fault] = []


def server_words(answer: Response) -> str:
    """What a registry's error document says, in one line; "" when the body is none."""
    try:
        faults = msgspec.json.decode(answer.body, type=_Faults).errors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    words = [": ".join(str(part) for part in (fault.code, fault.message) if part) for fault in faults[:3]]
    return shown("; ".join(word for word in words if word))
