"""How a registry is asked: logging in, redirects, retries. Generators of `registry.exchange`; no socket, no clock.

    patiently    waits and asks again on 408, 429, 5xx and failures that pass
      followed   follows redirects; a login never leaves its server
        allowed  answers a 401 by logging in (Basic, or a Bearer token of the server that the challenge names)

Pushing (`registry.push`) is one more user of them, with another scope.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import msgspec

from jettison.base.errors import NetworkError
from jettison.registry.challenge import Challenge, parse_challenges, parse_token
from jettison.registry.complaint import Asked, complaint
from jettison.registry.config import Endpoint, RegistryConfig, authority, endpoints
from jettison.registry.exchange import (
    AskCredential,
    Credential,
    Failed,
    Flow,
    Lookup,
    Request,
    Response,
    Wait,
    Waited,
    ask,
    redacted,
    send,
)

MAX_REDIRECTS = 10
ATTEMPTS = 5
MIRROR_ATTEMPTS = 2  # there is another server to ask
SILENT_ATTEMPTS = 2  # each takes a minute (config.Patience): who said nothing twice is not waited for any more
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
PASSING_FAILURES = frozenset({"cut", "timeout"})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CLIENT = "jettison"


class Session:
    """What is remembered between flows: access tokens, logins, which servers speak. Threads may share it: each entry is
    written whole, and at worst two threads find out the same.
    """

    def __init__(self, config: RegistryConfig) -> None:
        self.config = config
        self.authorizations: dict[tuple[str, str], str] = {}
        self.lookups: dict[str, Lookup] = {}
        self.settled: dict[str, tuple[Endpoint, ...]] = {}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One thing asked of one server: `scope` is what a token must allow, `what` names it in messages, `writes` says
    that it is to be stored there.
    """

    endpoint: Endpoint
    request: Request
    scope: str
    what: str
    hint: str = ""
    writes: bool = False

    @property
    def attempts(self) -> int:
        """How often it is asked for before giving up."""
        return MIRROR_ATTEMPTS if self.endpoint.mirror else ATTEMPTS


def pull_scope(path: str) -> str:
    """The scope of a token that may read a repository."""
    return f"repository:{path}:pull"


def push_scope(path: str) -> str:
    """The scope of a token that may write to a repository, and read it."""
    return f"repository:{path}:pull,push"


def servers(session: Session, domain: str) -> Flow[tuple[Endpoint, ...]]:
    """The endpoints for `domain`, in the order to ask them. Where plain HTTP is allowed, a ping tells which of the two
    protocols the registry speaks.
    """
    if domain in session.settled:
        return session.settled[domain]
    found = endpoints(session.config, domain)
    own = [endpoint for endpoint in found if not endpoint.mirror]
    if len(own) > 1:
        speaking = yield from _speaking(own)
        found = (*(endpoint for endpoint in found if endpoint.mirror), speaking or own[0])
        if speaking is None:
            return found
    session.settled[domain] = found
    return found


def _speaking(candidates: list[Endpoint]) -> Flow[Endpoint | None]:
    for endpoint in candidates:
        answer = yield from send(Request(url=f"{endpoint.base}/", headers=_headers({}), verify=endpoint.verify))
        if isinstance(answer, Response) and not _wants_tls(answer):
            return endpoint
    return None


def _wants_tls(answer: Response) -> bool:
    return answer.status == 400 and b"HTTPS" in answer.body.upper()


def asked(session: Session, call: Call, host: str | None = None) -> Asked:
    """The circumstances of a call, for messages."""
    lookup = session.lookups.get(call.endpoint.login, Lookup())
    return Asked(
        what=call.what,
        host=host or call.endpoint.host,
        login=call.endpoint.login,
        origin=lookup.origin,
        logged_in=lookup.credential is not None,
        offline_hint=call.hint,
        writes=call.writes,
    )


def patiently(session: Session, call: Call) -> Flow[Response]:
    """The answer to a call, whose status is below 300. Raises NetworkError for any other."""
    answer = yield from _persistently(call.attempts, lambda: followed(session, call))
    if isinstance(answer, Response) and answer.status < 300:
        return answer
    raise complaint(asked(session, call), answer)


def _persistently(attempts: int, once: Callable[[], Flow[Response | Failed]]) -> Flow[Response | Failed]:
    attempt = 0
    while True:
        answer = yield from once()
        attempt += 1
        if is_final(answer, attempt, attempts):
            return answer
        yield from pause(attempt - 1, answer)


def is_final(answer: Response | Failed, attempt: int, attempts: int = ATTEMPTS) -> bool:
    """Whether asking again would not help, or was tried often enough: `answer` is that of attempt number `attempt`."""
    if isinstance(answer, Response):
        return attempt >= attempts or answer.status not in PASSING_STATUSES
    most = min(attempts, SILENT_ATTEMPTS) if answer.kind == "timeout" else attempts
    return attempt >= most or answer.kind not in PASSING_FAILURES


def pause(attempt: int, answer: Response | Failed | None = None) -> Flow[None]:
    """Wait before attempt number `attempt` + 1: twice as long each time, or as long as the server asks for."""
    seconds = min(FIRST_WAIT_S * 2**attempt, LONGEST_WAIT_S)
    asks = answer.header("retry-after").strip() if isinstance(answer, Response) else ""
    if asks.isdecimal() and len(asks) < 7:
        seconds = min(max(seconds, float(asks)), LONGEST_WAIT_S)
    yield from ask(Wait(seconds=seconds), Waited)


def followed(session: Session, call: Call) -> Flow[Response | Failed]:
    """The answer to a call behind its redirects. What is sent to another server carries no login."""
    answer = yield from allowed(session, call)
    request = call.request
    for _ in range(MAX_REDIRECTS):
        target = redirect_of(request.url, answer)
        if target is None:
            return answer
        if target.startswith("http://") and request.url.startswith("https://") and call.endpoint.verify:
            raise NetworkError(f"{call.what}: {authority(request.url)} redirects from https to {redacted(target)}")
        home = same_server(target, call.request.url)
        verify = call.endpoint.verify or not home
        request = msgspec.structs.replace(call.request, url=target, verify=verify)
        if home:
            answer = yield from allowed(session, msgspec.structs.replace(call, request=request))
        else:
            answer = yield from send(msgspec.structs.replace(request, headers=_headers(request.headers)))
    raise NetworkError(f"{call.what}: {call.endpoint.host} redirects more than {MAX_REDIRECTS} times")


def redirect_of(url: str, answer: Response | Failed) -> str | None:
    """Where an answer sends its reader, None for nowhere. Only http and https are followed."""
    if isinstance(answer, Failed) or answer.status not in REDIRECTS or not answer.header("location"):
        return None
    from urllib.parse import urljoin  # late: it imports ipaddress

    try:
        target = urljoin(url, answer.header("location"))
    except ValueError:
        return None
    return target if target.startswith(("https://", "http://")) and authority(target) else None


def same_server(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str]:
    scheme = url.partition("://")[0].lower()
    host = authority(url).lower()
    return scheme, host.removesuffix(":443" if scheme == "https" else ":80")


def allowed(session: Session, call: Call) -> Flow[Response | Failed]:
    """The answer to a call, logged in where the server asks for it. A token that has run out is fetched anew once."""
    key = (call.endpoint.base, call.scope)
    answer = yield from _sent(call.request, session.authorizations.get(key, ""))
    if isinstance(answer, Failed) or answer.status != 401:
        return answer
    authorization = yield from _authorization(session, call, answer)
    if not authorization:
        return answer
    again = yield from _sent(call.request, authorization)
    if isinstance(again, Response) and again.status != 401:
        session.authorizations[key] = authorization
    else:
        session.authorizations.pop(key, None)
    return again


def _sent(request: Request, authorization: str) -> Flow[Response | Failed]:
    extra = {"authorization": authorization} if authorization else {}
    return (yield from send(msgspec.structs.replace(request, headers=_headers(request.headers | extra))))


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {"user-agent": _CLIENT, "accept-encoding": "identity"} | headers


def _authorization(session: Session, call: Call, answer: Response) -> Flow[str]:
    """The header that a 401 asks for, "" when there is none to give."""
    challenges = {one.scheme: one for one in parse_challenges(answer.header("www-authenticate"))}
    lookup = yield from _login(session, call.endpoint.login)
    credential = lookup.credential or Credential()
    if credential.registry_token:
        return f"Bearer {credential.registry_token}"
    if bearer := challenges.get("bearer"):
        token = yield from _token(session, call, bearer, credential)
        return f"Bearer {token}"
    return _basic(credential) if "basic" in challenges else ""


def _login(session: Session, host: str) -> Flow[Lookup]:
    if host not in session.lookups:
        session.lookups[host] = yield from ask(AskCredential(host=host), Lookup)
    return session.lookups[host]


def _basic(credential: Credential) -> str:
    if not credential.username:
        return ""
    pair = f"{credential.username}:{credential.password}".encode("utf-8", "surrogateescape")
    return f"Basic {b64encode(pair).decode()}"


def _token(session: Session, call: Call, challenge: Challenge, credential: Credential) -> Flow[str]:
    """An access token from the server that `challenge` names."""
    realm = challenge.parameters.get("realm", "")
    _check_realm(call, realm)
    scopes = challenge.parameters.get("scope", "").split() or [call.scope]
    service = challenge.parameters.get("service", "")
    build = _refresh_request if credential.identity_token else _token_request
    request = build(realm, service, scopes, credential, verify=call.endpoint.verify)
    token_call = msgspec.structs.replace(call, request=request, what=f"{call.what}: a token")
    answer = yield from _answered(session, token_call)
    token = parse_token(answer.body)
    if not token:
        raise NetworkError(f"{call.what}: {authority(realm)} gave no token")
    return token


def _answered(session: Session, call: Call) -> Flow[Response]:
    """As `patiently`, without a login of its own and without redirects: the request carries the password."""
    answer = yield from _persistently(call.attempts, lambda: _sent(call.request, ""))
    if isinstance(answer, Response) and answer.status == 200:
        return answer
    raise complaint(asked(session, call, authority(call.request.url)), answer)


def _check_realm(call: Call, realm: str) -> None:
    """A password goes over plain HTTP only where the registry itself speaks it."""
    plain = call.request.url.startswith("http://")
    if not (realm.startswith("https://") or (plain and realm.startswith("http://"))) or not authority(realm):
        raise NetworkError(
            f"{call.what}: {call.endpoint.host} names no token server that may be asked: {redacted(realm)!r}",
            hint="a registry that is asked over https must name a token server with https",
        )


def _token_request(realm: str, service: str, scopes: list[str], credential: Credential, *, verify: bool) -> Request:
    pairs = ([("service", service)] if service else []) + [("scope", scope) for scope in scopes]
    url = realm + ("&" if "?" in realm else "?") + _query(pairs)
    basic = _basic(credential)
    return Request(url=url, headers={"authorization": basic} if basic else {}, verify=verify)


def _refresh_request(realm: str, service: str, scopes: list[str], credential: Credential, *, verify: bool) -> Request:
    pairs = [("grant_type", "refresh_token"), ("service", service), ("client_id", _CLIENT), ("scope", " ".join(scopes))]
    body = _query([*pairs, ("refresh_token", credential.identity_token)]).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return Request(url=realm, method="POST", headers=headers, body=body, verify=verify)


def _query(pairs: list[tuple[str, str]]) -> str:
    from urllib.parse import quote

    return "&".join(f"{name}={quote(value, safe=':/,')}" for name, value in pairs)
