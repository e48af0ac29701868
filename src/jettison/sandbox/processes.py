"""Ending processes: our own children as /proc shows them, and what comes to us when they are gone."""

from __future__ import annotations

import os
import signal

HANDLED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)  # by the keeper; defaults for the step


def children() -> set[int]:
    """The pids of this process's children, ended ones that were not waited for included."""
    own = os.getpid()
    return {int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == own}


def end_children(keep: set[int]) -> None:
    """Kill and reap every child but `keep`, and those that come to us (a subreaper) by that, until none is left."""
    while strays := children() - keep:
        for pid in strays:
            os.kill(pid, signal.SIGKILL)
        for pid in strays:
            os.waitpid(pid, 0)


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name stands in parentheses and may hold any byte; the parent is the second word behind it.
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0
