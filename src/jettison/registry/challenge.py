"""WWW-Authenticate parsed (RFC 9110 §11), and the token that a token server gives. Pure; hostile input assumed."""

from __future__ import annotations

import re

import msgspec

_SCHEME = re.compile(r"[ \t,]*([A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*)(?:[ \t]+|[ \t]*(?=,|$))")
_PARAMETER = re.compile(r"[ \t,]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")
_ESCAPED = re.compile(r"\\(.)")
MAX_HEADER = 16 * 1024


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One way to log in that a server offers: `scheme` in lower case, parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str] = {}


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header, in order; what cannot be read ends the list."""
    found: list[Challenge] = []
    header = header[:MAX_HEADER]
    at = 0
    while at < len(header) and (scheme := _SCHEME.match(header, at)):
        parameters: dict[str, str] = {}
        at = scheme.end()
        while match := _PARAMETER.match(header, at):
            name, quoted, plain = match.groups()
            parameters[name.lower()] = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
            at = match.end()
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return tuple(found)


class _TokenAnswer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


def parse_token(body: bytes) -> str:
    """The token in a token server's answer, "" when it has none that could stand in a header."""
    try:
        answer = msgspec.json.decode(body, type=_TokenAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    token = answer.token or answer.access_token or ""
    return token if token.isascii() and token.isprintable() and " " not in token else ""
