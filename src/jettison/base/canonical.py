"""Bytes that are hashed: canonical JSON of plain values and structs. Framed fields, never concatenated text."""

from __future__ import annotations

from typing import Any

import msgspec

from jettison.base.digest import digest_of

_encoder = msgspec.json.Encoder(order="deterministic")


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys and no blanks; equal values give equal bytes.

    Text that is not valid UTF-8 (file names read with surrogateescape) is kept apart from text that is: it is written
    as latin-1 behind a NUL, which no path can hold.
    """
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_escaped(msgspec.to_builtins(value)))


def canonical_digest(value: Any) -> str:
    """The digest of `canonical(value)`."""
    return digest_of(canonical(value))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "\0" + value.encode("utf-8", "surrogateescape").decode("latin-1")
        return value
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return value
