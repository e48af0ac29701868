"""`jettison prune`: take out of the local store what nobody needs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from jettison.base.errors import UsageError
from jettison.cli.arguments import Parser, human_bytes, say

if TYPE_CHECKING:
    from jettison.app.care import Pruned

DESCRIPTION = """Remove build cache, cache mounts and images without a tag: all that no tagged image needs.

Steps whose results are part of a tagged image stay, since they take no bytes of their own: they will be cached. With
--all tagged images and the records of builds go, too. What a running build uses stays in any case.
"""
# What docker's builders call the kinds, and what they are here (store/gc.py).
_TYPES = {
    "regular": frozenset({"result", "ref"}),
    "exec.cachemount": frozenset({"cache"}),
    "image": frozenset({"name", "unnamed"}),
}
_FILTERS = (
    "--filter until=24h, until=2026-01-31, type=regular, type=exec.cachemount or type=image; type!= for all others"
)
_YES = ("y", "yes")


def run(args: list[str]) -> int:
    """Parse, ask, call, print."""
    parser = Parser("prune", "[OPTIONS]", DESCRIPTION)
    parser.flag("-a", "--all", about="remove tagged images and the records of builds, too")
    parser.repeated(
        "--filter",
        metavar="FILTER",
        about="until=24h: only what was last used before then; type=exec.cachemount, regular or image (type!=: not it)",
    )
    parser.option(
        "--keep-storage",
        "--reserved-space",
        metavar="SIZE",
        about="remove what was longest unused until the rest is no larger than SIZE, such as 10GB",
    )
    parser.flag("-f", "--force", about="do not ask")
    given = parser.read(args)
    until_s, kinds = chosen(given.filter, time.time())
    keep_bytes = None if given.keep_storage is None else _size(given.keep_storage)
    if not given.force and not _agreed(_warning(all_=given.all)):
        return 0
    from jettison.app.care import prune

    print(pruned_text(prune(all_=given.all, until_s=until_s, keep_bytes=keep_bytes, kinds=kinds)), end="")
    return 0


def chosen(filters: list[str], now_s: float) -> tuple[int | None, frozenset[str] | None]:
    """(the moment of `until`, the kinds of `type`) that --filter asks for. Raises UsageError."""
    until_s: int | None = None
    kinds: frozenset[str] | None = None
    for text in filters:
        key, equals, value = text.partition("=")
        if equals and key in ("until", "unused-for"):
            moment = _moment(value, now_s)
            until_s = moment if until_s is None else min(until_s, moment)
        elif equals and key in ("type", "type!") and value in _TYPES:
            every: frozenset[str] = frozenset().union(*_TYPES.values())
            wanted = _TYPES[value] if key == "type" else every - _TYPES[value]
            kinds = wanted if kinds is None else kinds & wanted
        else:
            raise UsageError(f"--filter {text} is not understood", hint=_FILTERS)
    return until_s, kinds


def pruned_text(pruned: Pruned) -> str:
    """What was removed, a line each, and how much that was in all."""
    lines = [f"removed {line.kind} {_plain(line.name)}{_sized(line.size_bytes)}" for line in pruned.removed]
    return "\n".join([*lines, f"Total:  {human_bytes(pruned.reclaimed_bytes)}"]) + "\n"


def _sized(size_bytes: int) -> str:
    return f"  {human_bytes(size_bytes)}" if size_bytes else ""


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _moment(text: str, now_s: float) -> int:
    """A span before now, or a date and time (UTC where it does not say), in s since the epoch."""
    from datetime import UTC, datetime

    from jettison.base.amounts import parse_span

    try:
        return int(now_s - parse_span(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--filter until={text} is no time", hint=_FILTERS) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _size(text: str) -> int:
    from jettison.base.amounts import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"--keep-storage: {error}", hint="a size is 10GB, 512m or a number of bytes") from None


def _warning(*, all_: bool) -> str:
    what = "all build cache, all cache mounts and ALL IMAGES" if all_ else "build cache, cache mounts, untagged images"
    return f"This removes {what}: all that no {'' if all_ else 'tagged image and no '}running build needs."


def _agreed(warning: str) -> bool:
    """Ask on the terminal. Raises UsageError where there is none: nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError(
            "prune asks before it removes anything, and there is no terminal to ask on", hint="add --force"
        )
    say(warning)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in _YES
