"""Flags as they are written between a keyword and its arguments: `--name=value`. Reference §1.1.

Their quotes and backslashes (whatever the escape directive says) are taken away here; the value is a word that is
expanded like others afterwards.
"""

from __future__ import annotations

import re

import msgspec

from jettison.syntax.blanks import SPACE
from jettison.syntax.regex import lazy

_SPACES = lazy(f"{SPACE}*")
# U+001C to U+001F are blanks for Python, and for Go none.
_FLAG = lazy(
    r"--(?:[^\s'\"\\]++|[\x1c-\x1f]++|\\.|\\\Z|'(?:[^'\\]++|\\.)*+(?:'|\\?\Z)|\"(?:[^\"\\]++|\\.)*+(?:\"|\\?\Z))*+",
    re.DOTALL,
)
_QUOTING = lazy(r"\\(.)|['\"\\]", re.DOTALL)


class RawFlag(msgspec.Struct):
    """A flag, unquoted, with the offsets of it as written and of what stands behind its `=`."""

    name: str
    value: str | None
    start: int
    value_start: int
    end: int


def split_flags(text: str, start: int, end: int) -> tuple[list[RawFlag], int]:
    """The flags from `start` on, and the offset at which the arguments begin. `--` ends the flags."""
    flags: list[RawFlag] = []
    position = start
    while True:
        position = _blanks_end(text, position, end)
        found = _FLAG.match(text, position, end)
        if found is None:
            return flags, position
        position = found.end()
        if found[0] == "--":
            return flags, position
        flags.append(_flag(found[0], found.start(), found.end()))


def _blanks_end(text: str, position: int, end: int) -> int:
    found = _SPACES.match(text, position, end)
    return found.end() if found else position


def _flag(written: str, start: int, end: int) -> RawFlag:
    plain = _unquoted(written) if any(char in written for char in "'\"\\") else written
    name, equals, value = plain[2:].partition("=")
    value_start = start + written.find("=") + 1 if "=" in written else end
    return RawFlag(name, value if equals else None, start, value_start, end)


def _unquoted(written: str) -> str:
    """Without quotes and escapes. Inside one kind of quotes the other is ordinary."""
    parts: list[str] = []
    quote = ""
    position = 0
    for found in _QUOTING.finditer(written):
        parts.append(written[position : found.start()])
        position = found.end()
        char = found[0]
        if found[1] is not None:
            parts.append(found[1])
        elif char == quote:
            quote = ""
        elif char == "\\":
            continue
        elif quote:
            parts.append(char)
        else:
            quote = char
    return "".join(parts) + written[position:]
