"""Paths as text: cleaned as the reference builder cleans them, with no look at any file system."""

from __future__ import annotations


def clean(path: str) -> str:
    """`path` without empty and `.` components, and without `x/..`; "" becomes `.`, and `..` never leaves a root."""
    rooted = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        if part in {"", "."}:
            continue
        if part != "..":
            kept.append(part)
        elif kept and kept[-1] != "..":
            kept.pop()
        elif not rooted:
            kept.append(part)
    return ("/" if rooted else "") + "/".join(kept) or "."
