"""Which boot of the machine this is: what was written in an earlier one may have lost its last bytes to a power cut."""

from __future__ import annotations

import os

_PATH = "/proc/sys/kernel/random/boot_id"


def boot_id(path: str = _PATH) -> str:
    """The kernel's name for this boot; where it tells none, another one every time."""
    try:
        with open(path, "rb") as file:
            told = file.read().decode("ascii").strip()
    except (OSError, ValueError):
        told = ""
    return told if _is_name(told) else os.urandom(16).hex()


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 40 and text.replace("-", "").isalnum()
