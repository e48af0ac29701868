"""Durations as Go writes them: `1h30m`, `1.5s`, `300ms`. In ns."""

from __future__ import annotations

from jettison.syntax.regex import lazy

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5
    "μs": 1_000,  # U+03BC
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = lazy(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)?")
_MAX_NS = 2**63 - 1


def parse_duration(text: str) -> int:
    """The duration in ns. Raises ValueError with a message for people."""
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in {"-", "+"} else text
    if body == "0":
        return 0
    total = 0
    position = 0
    while position < len(body) or not body:
        found = _TERM.match(body, position)
        whole, fraction, unit = found.groups() if found else ("", None, None)
        if not whole and not fraction:
            raise ValueError(f'time: invalid duration "{text}"')
        if unit is None:
            raise ValueError(f'time: missing unit in duration "{text}"')
        size = _UNITS[unit]
        total += int(whole[-20:] or "0") * size if len(whole.lstrip("0")) <= 20 else _MAX_NS + 1
        digits = (fraction or "")[:18]
        total += int(digits or "0") * size // 10 ** len(digits)
        position = found.end() if found else len(body)
        if total > _MAX_NS:
            raise ValueError(f'time: invalid duration "{text}"')
    return sign * total
