"""Whether this process is jettison's own program: nobody else's threads, handlers or memory are in it."""

from __future__ import annotations

_claimed: list[bool] = []


def claim() -> None:
    """Said by the command line when it is the program itself, and not called by one."""
    _claimed.append(True)


def is_ours() -> bool:
    """Whether the command line has said so."""
    return bool(_claimed)
