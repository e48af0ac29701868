"""A word expanded, with the names that it asked for: what the rules on variables go by."""

from __future__ import annotations

import msgspec

from jettison.syntax.words import ExpansionError, Scope, expand, expand_heredoc

MAX_VALUE = 4096  # characters: no rule looks at longer values, and values that double line by line end here


class Looked(msgspec.Struct, frozen=True):
    """A word's value, and the names in it that were set and that were not. None: it cannot be expanded, or is too long.

    A name is asked for by `${name:-word}` and the like too: BuildKit wants it declared all the same.
    """

    value: str | None
    matched: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


def look(text: str, scope: Scope, escape: str, *, heredoc: bool = False) -> Looked:
    """Expand one word, or the body of a heredoc. Each name stands once in the result, in order of appearance."""
    if "$" not in text and escape not in text and (heredoc or ("'" not in text and '"' not in text)):
        return Looked(text if len(text) <= MAX_VALUE else None)
    matched: dict[str, None] = {}
    unset: dict[str, None] = {}

    def told(name: str) -> str | None:
        value = scope(name)
        (unset if value is None else matched)[name] = None
        return value

    try:
        value = expand_heredoc(text, told) if heredoc else expand(text, told, escape)
    except ExpansionError:
        return Looked(None, tuple(matched), tuple(unset))
    return Looked(value if len(value) <= MAX_VALUE else None, tuple(matched), tuple(unset))
