"""Amounts as people write them: sizes as docker reads them, spans of time as Go does, with days and weeks besides."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([kmgtp]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d|w)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_size(text: str) -> int:
    """`10GB`, `512m`, `1.5GiB` or plain bytes, in bytes: powers of 1,024, as docker reads them. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text} is not a size such as 10GB or 512m")
    return int(float(found[1]) * 1024 ** (" kmgtp".index(found[2].lower()) if found[2] else 0))


def parse_span(text: str) -> float:
    """`24h`, `1h30m` or `7d`, in seconds. Raises ValueError."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text} is not a time such as 24h, 90m or 7d")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
