"""`jettison du`: what the local store takes on disk, by kind, and how much of that could go."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jettison.cli.arguments import Parser, human_bytes

if TYPE_CHECKING:
    from jettison.app.care import StoreUse

DESCRIPTION = """Show what the local store takes on disk, by kind, and how much of that `jettison prune` would remove.

Sizes are what the files take on disk, in powers of 1,000. A file that snapshots share by hard links counts once.
"""
FORMATS = ("text", "json")
_AGES = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def run(args: list[str]) -> int:
    """Parse, call, print."""
    parser = Parser("du", "[OPTIONS]", DESCRIPTION)
    parser.flag("-v", "--verbose", about="show every image and every cache mount, too")
    parser.option("--format", metavar="FORMAT", default="text", choices=FORMATS, about="text or json (bytes)")
    given = parser.read(args)
    from jettison.app.care import store_use

    use = store_use()
    if given.format == "json":
        import msgspec

        print(msgspec.json.encode(use).decode())
    else:
        print(use_text(use, time.time(), verbose=given.verbose), end="")
    return 0


def use_text(use: StoreUse, now_s: float, *, verbose: bool) -> str:
    """What a store takes, as text."""
    parts = [_kinds(use, now_s)]
    if verbose:
        parts += [_images(use, now_s)] if use.images else []
        parts += [_cache_mounts(use, now_s)] if use.cache_mounts else []
    bound = "none" if use.bound_bytes is None else human_bytes(use.bound_bytes)
    parts.append(
        [
            f"Store:        {use.store}",
            f"Total:        {human_bytes(use.total_bytes)}",
            f"Reclaimable:  {human_bytes(use.reclaimable_bytes)} ({human_bytes(use.reclaimable_all_bytes)} with --all)",
            f"In use:       {human_bytes(use.in_use_bytes)} by running builds",
            f"Bound:        {bound} of build cache",
        ]
    )
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _kinds(use: StoreUse, now_s: float) -> list[str]:
    return _table(
        ("KIND", "COUNT", "SIZE", "RECLAIMABLE", "IN USE", "LAST USED"),
        (
            (
                kind.kind,
                str(kind.count),
                human_bytes(kind.size_bytes),
                human_bytes(kind.reclaimable_bytes),
                human_bytes(kind.in_use_bytes),
                age(kind.used_s, now_s),
            )
            for kind in use.kinds
        ),
    )


def _images(use: StoreUse, now_s: float) -> list[str]:
    return _table(
        ("IMAGE", "PLATFORM", "SIZE", "ITS OWN", "IN USE", "CREATED"),
        (
            (
                image.name or "<none>",
                image.platform,
                human_bytes(image.size_bytes),
                human_bytes(image.own_bytes),
                _yes(image.in_use),
                age(image.created_s, now_s),
            )
            for image in use.images
        ),
    )


def _cache_mounts(use: StoreUse, now_s: float) -> list[str]:
    return _table(
        ("CACHE MOUNT", "SIZE", "IN USE", "LAST USED"),
        (
            (mount.id or mount.directory, human_bytes(mount.size_bytes), _yes(mount.in_use), age(mount.used_s, now_s))
            for mount in use.cache_mounts
        ),
    )


def age(then_s: float, now_s: float) -> str:
    """How long ago that was, as people read it; "" for what has no time."""
    if not then_s:
        return ""
    passed = max(0, int(now_s - then_s))
    unit, name = next(((unit, name) for unit, name in _AGES if passed >= unit), (1, "second"))
    number = passed // unit
    return f"{number} {name}{'' if number == 1 else 's'} ago"


def _yes(answer: bool) -> str:
    return "yes" if answer else ""


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [heading, *(tuple(map(_plain, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _plain(text: str) -> str:
    """`text` without what would speak to the terminal: a Dockerfile may give a cache mount any id."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
