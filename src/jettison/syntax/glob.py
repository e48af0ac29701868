"""Wildcards of ADD and COPY sources: `*`, `?`, `[a-z]`, `[^a]`, backslash; none crosses a `/`. Reference §1.6."""

from __future__ import annotations

import re

from jettison.base.errors import InputError
from jettison.syntax.regex import lazy

_PIECE = lazy(r"\\(.)|\*+|\?|\[|[^\\*?\[]+|\\", re.DOTALL)
_WILD = lazy(r"(?:\\.|[^\\*?\[])*[*?\[]", re.DOTALL)
_RANGE = lazy(r"(\\.|[^\\\]\-])(?:-(\\.|[^\\\]\-]))?", re.DOTALL)

_compiled: dict[str, re.Pattern[str]] = {}
_MAX_COMPILED = 500


def has_wildcard(text: str) -> bool:
    """Whether `text` holds a `*`, `?` or `[` that no backslash escapes."""
    return _WILD.match(text) is not None


def match(pattern: str, name: str) -> bool:
    """Whether the whole of `name` matches `pattern`. Raises InputError for a malformed pattern."""
    compiled = _compiled.get(pattern)
    if compiled is None:
        compiled = re.compile(regex_of(pattern), re.DOTALL)
        if len(_compiled) >= _MAX_COMPILED:
            _compiled.clear()
        _compiled[pattern] = compiled
    return compiled.fullmatch(name) is not None


def regex_of(pattern: str) -> str:
    """`pattern` as a regular expression (for DOTALL). Raises InputError for a malformed pattern.

    Every `*` but the last of a path component is atomic: the earliest place of what follows it loses no match, and
    no pattern can be slow.
    """
    return "/".join(_component(part) for part in _split(pattern))


def _split(pattern: str) -> list[str]:
    """The pattern's components. One in brackets or behind a backslash matches itself alone, and so splits as well."""
    return pattern.split("/") if "/" in pattern else [pattern]


def _component(part: str) -> str:
    pieces: list[str] = [""]
    position = 0
    while position < len(part):
        found = _PIECE.match(part, position)
        if found is None or found[0] == "\\":
            raise InputError(f"syntax error in pattern {part!r}", hint="write `\\\\` for a backslash")
        position = found.end()
        text = found[0]
        if text[0] == "*":
            pieces.append("")
        elif text == "?":
            pieces[-1] += "[^/]"
        elif text == "[":
            chars, position = _brackets(part, position)
            pieces[-1] += chars
        else:
            pieces[-1] += re.escape(found[1] or text)
    return _with_stars(pieces)


def _with_stars(pieces: list[str]) -> str:
    """The pieces with `[^/]*` between them."""
    head, *rest = pieces
    middle = "".join(f"(?>[^/]*?{piece})" for piece in rest[:-1])
    return head + middle + (f"[^/]*{rest[-1]}" if rest else "")


def _brackets(part: str, position: int) -> tuple[str, int]:
    """A character class from just behind its `[`, and where it ends."""
    negated = part[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while not (ranges and part[position : position + 1] == "]"):
        found = _RANGE.match(part, position)
        if found is None or part[found.end() : found.end() + 1] == "-":
            raise InputError(f"syntax error in pattern {part!r}", hint="close the `[` with `]`, or write `\\[`")
        position = found.end()
        low, high = found[1][-1], (found[2] or found[1])[-1]
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    inside = "".join(ranges)
    if not inside:  # only ranges that run backwards: nothing is in them
        return ("[^/]" if negated else r"(?!)"), position + 1
    return f"(?!/)[{'^' if negated else ''}{inside}]", position + 1
