"""Shell patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*`, `?`, backslash; brackets are ordinary. Reference §1.3.

A pattern becomes a regular expression whose every `*` is atomic, so that no pattern can make matching slow: for
patterns of this kind, taking the earliest (or, for the last one, the latest) place of each piece loses no match.
"""

from __future__ import annotations

import re

ANY_CHAR = 1
ANY_TEXT = 2
Token = str | int  # a literal character, ANY_CHAR or ANY_TEXT


class PatternError(ValueError):
    """A pattern holds an escape that means nothing."""


def tokens_of(pattern: str) -> list[Token]:
    """The pattern as tokens. Raises PatternError for an escape of anything but `* ? } /` and itself."""
    tokens: list[Token] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            tokens.append(ANY_TEXT)
        elif char == "?":
            tokens.append(ANY_CHAR)
        elif char == "\\":
            escaped = pattern[position : position + 1]
            if not escaped or escaped not in "*?\\}/":
                raise PatternError(f"invalid escape '\\{escaped}'")
            tokens.append(escaped)
            position += 1
        else:
            tokens.append(char)
    return tokens


def trim_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """`value` without the shortest or longest prefix that matches."""
    found = _anchored(tokens_of(pattern), longest=longest).match(value)
    return value[found.end() :] if found else value


def trim_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """`value` without the shortest or longest suffix that matches: a prefix, seen in a mirror."""
    mirrored = value[::-1]
    found = _anchored(tokens_of(pattern)[::-1], longest=longest).match(mirrored)
    return mirrored[found.end() :][::-1] if found else value


def replace(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """`value` with the first longest match, or with every one, replaced."""
    tokens = tokens_of(pattern)
    head = _pieces(tokens)[0]
    start = re.compile(_regex(head), re.DOTALL)
    whole = _anchored(tokens, longest=True)
    parts: list[str] = []
    position = 0
    while position <= len(value):
        # Where the first piece stands earliest, the rest either follows or follows nowhere further on.
        first = start.search(value, position)
        found = whole.match(value, first.start()) if first else None
        if first is None or found is None:
            break
        parts += (value[position : first.start()], replacement)
        position = found.end()
        if found.end() == first.start():  # an empty match: step over one character, as regular expressions do
            parts.append(value[position : position + 1])
            position += 1
        if not every:
            break
    return "".join(parts) + value[position:]


def _pieces(tokens: list[Token]) -> list[list[Token]]:
    """The tokens between the ANY_TEXTs; one more piece than there are of them."""
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token == ANY_TEXT:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _regex(piece: list[Token]) -> str:
    return "".join("." if token == ANY_CHAR else re.escape(str(token)) for token in piece)


def _anchored(tokens: list[Token], *, longest: bool) -> re.Pattern[str]:
    head, *rest = _pieces(tokens)
    parts = [_regex(head)]
    for number, piece in enumerate(rest, 1):
        star = ".*" if longest and number == len(rest) else ".*?"
        parts.append(f"(?>{star}{_regex(piece)})")
    return re.compile("".join(parts), re.DOTALL)
