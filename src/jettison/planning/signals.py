"""Linux's signals, by name and number: STOPSIGNAL takes no other, on whatever machine the plan is made."""

from __future__ import annotations

from jettison.planning.faults import meant
from jettison.syntax.regex import lazy

_NUMBER = lazy(r"[+-]?[0-9]{1,18}")

NAMES = frozenset({
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "UNUSED", "URG",
    "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
    *(f"RTMIN+{number}" for number in range(1, 16)), *(f"RTMAX-{number}" for number in range(1, 15)),
})  # fmt: skip


def is_signal(text: str) -> bool:
    """Whether `text` is a number other than 0 (the builder knows no upper bound), or a name, with or without SIG."""
    if _NUMBER.fullmatch(text):
        return int(text) != 0
    return text.upper().removeprefix("SIG") in NAMES


def near_signal(text: str) -> str:
    """` (did you mean SIGTERM?)` for what is nearly a name, or nothing."""
    return meant(text.upper(), sorted(f"SIG{name}" for name in NAMES))
