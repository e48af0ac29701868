"""The JSON form: an array of strings. Anything else that begins with `[` is shell form, silently. Reference §1.1."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from jettison.syntax.blanks import SPACES
from jettison.syntax.regex import lazy

ITEM = lazy(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)

_SURROGATE = lazy(r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?|[c-fC-F][0-9a-fA-F]{2})")
_RAW_SURROGATE = lazy(r"[\ud800-\udfff]")


class NotStringsError(ValueError):
    """The text is a JSON array, but not of strings alone."""

    def __init__(self) -> None:
        super().__init__("when using JSON array syntax, arrays must be comprised of strings only")


def parse_json(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array; None when `text` is not one. Raises NotStringsError for an array of other things."""
    text = text.lstrip(SPACES)
    if not text.startswith("["):
        return None
    try:
        items = _decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
    except RecursionError:
        raise NotStringsError from None
    if not all(isinstance(item, str) for item in items):
        raise NotStringsError
    return tuple(items)


def _decode(text: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except (msgspec.DecodeError, UnicodeError):
        # Half a surrogate pair, escaped or raw, is the replacement character to the reference builder.
        mended = _RAW_SURROGATE.sub("\ufffd", _SURROGATE.sub(_mend, text))
        if mended == text:
            raise
        return msgspec.json.decode(mended, type=list[Any])


def _mend(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) == 12 else "\\ufffd"
