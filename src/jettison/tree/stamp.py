"""Stamps: a file of the user's as stat sees it, which tells whether it was touched since (mechanisms: stamps)."""

from __future__ import annotations

import os

Stamp = tuple[int, int, int, int, int]
"""Size, mtime_ns, ctime_ns, inode, mode."""

_COARSE_NS = 50_000_000  # how far a filesystem's clock may lag behind
_COARSER_NS = 2_000_000_000  # where it keeps whole seconds alone


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file whose status this is."""
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Whether a file that is read at `now_ns` or later has another stamp when it changes after that."""
    ctime_ns = stamp[2]
    margin = _COARSER_NS if ctime_ns % 1_000_000_000 == 0 else _COARSE_NS
    return ctime_ns < now_ns - margin
