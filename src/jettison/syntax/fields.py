"""Comma-separated fields, as `--mount` and `--device` write them: a field in double quotes may hold commas."""

from __future__ import annotations

from jettison.syntax.regex import lazy

_FIELD = lazy(r'"((?:[^"]++|"")*+)"|([^",]*+)')


def split_fields(text: str) -> list[str]:
    """The fields of one line. Raises ValueError with a message for people."""
    if not text:
        raise ValueError("EOF")
    fields: list[str] = []
    position = 0
    while True:
        found = _FIELD.match(text, position)
        if found is None:  # the pattern can be empty but for a quote that is never closed
            raise ValueError(f'extraneous or missing " in quoted field at character {position + 1}')
        quoted = found[1]
        fields.append(found[2] if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if position == len(text):
            return fields
        if text[position] != ",":
            reason = 'bare " in non-quoted field' if quoted is None else 'extraneous or missing " in quoted field'
            raise ValueError(f"{reason} at character {position + 1}")
        position += 1
