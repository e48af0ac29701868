"""Texts of strangers, for messages."""

from __future__ import annotations

MAX_SHOWN = 300


def shown(text: str) -> str:
    """A server's text as a message may show it: one line, printable, short."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_SHOWN]).split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"
