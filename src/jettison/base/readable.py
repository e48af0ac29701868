"""JSON for others to read. What we read ourselves, with bytes that are no text kept apart, is `base.canonical`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

_NO_TEXT = "[\ud800-\udfff]"  # hardly ever there: compiled when it is


def readable(text: str) -> str:
    """`text` as UTF-8 can say it: each byte that was none (held by surrogateescape) is U+FFFD, as Go writes it."""
    return text if text.isascii() else re.sub(_NO_TEXT, "\ufffd", text)


def readable_json(value: Any, encode: Callable[[Any], bytes] = msgspec.json.encode) -> bytes:
    """`encode(value)`; where text of it is not UTF-8, of the same value with that text made readable."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return encode(_readable(value))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, msgspec.Struct):
        fields = {name: _readable(getattr(value, name)) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_readable(item) for item in value]
    return value
