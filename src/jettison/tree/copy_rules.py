"""Which paths a COPY or ADD takes of its input: wildcards, symlinks, --parents and --exclude. Reference §1.6.

The same answers are used to copy and to make a step's content key, so that a key covers what is copied, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from jettison.base.errors import InputError
from jettison.planning.ops import CopyOp, CopySource
from jettison.syntax import glob
from jettison.syntax.ignore import IgnoreMatcher
from jettison.syntax.ignore_pattern import compile_pattern
from jettison.tree.row import DIR, Row
from jettison.tree.view import View, resolve

T = TypeVar("T")


class Match(msgspec.Struct, frozen=True):
    """One path that a source names. `name` is what it is called there, `row` what stands at the end of its symlinks."""

    name: str
    row: Row


class Found(msgspec.Struct, frozen=True, gc=False):
    """One row below a directory that is taken. `below` is its path from there. `bridge`: it was left out, and is there
    for something below it that was not.
    """

    row: Row
    below: str
    bridge: bool


class Child(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One thing directly below a directory, as a walk sees it: its path, and whatever it is `of`."""

    path: str
    is_dir: bool
    of: T


def matches(view: View, source: CopySource) -> list[Match]:
    """What a source names, in `tree.row.order`. With --parents that is where its pivot stands, the root without one.

    A wildcard may match nothing. Raises InputError for a plain path that is missing, and for a missing directory before
    a wildcard.
    """
    path = source.path.strip("/")
    if not source.wildcard or not glob.has_wildcard(path):
        return [followed(view, path)]
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if glob.has_wildcard(part))
    start = resolve(view, "/".join(parts[:first]))
    if view.row(start) is None:
        raise InputError(f"lstat /{'/'.join(parts[:first])}: no such file or directory", hint=_hint(view, start))
    return [followed(view, name) for name in _expand(view, start, parts[first:])]


def pivots(view: View, source: CopySource) -> list[Match]:
    """With --parents: the directories that the paths kept are relative to."""
    start = CopySource(source.input, source.pivot or "/", wildcard=glob.has_wildcard(source.pivot))
    return matches(view, start)


def _expand(view: View, start: str, patterns: list[str]) -> list[str]:
    """The paths below the directory `start` that match, a component a pattern. Symlinks on the way are not followed."""
    found = [start]
    for pattern in patterns:
        found = [
            f"{directory}/{name}" if directory else name
            for directory in found
            for name in view.children(directory)
            if glob.match(pattern, name)
        ]
    return found


def followed(view: View, path: str) -> Match:
    """The path with what stands at the end of its symlinks. Raises InputError when that is nothing."""
    name = path.strip("/")
    row = view.row(resolve(view, name))
    if row is None:
        raise missing(view, name)
    return Match(name, row)


def missing(view: View, path: str) -> InputError:
    """A source that is not there, in the words that people know, and why that may be."""
    what = "stage" if view.linkable else "context"
    message = f'failed to compute cache key: failed to calculate checksum of ref {what}: "/{path}": not found'
    error = InputError(message, hint=_hint(view, resolve(view, path)))
    error.subject = f"/{path}"
    return error


def _hint(view: View, path: str) -> str | None:
    """Whether the ignore file hides the path, or what is called nearly so in the same place."""
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        here = "/".join(parts[:length])
        if view.row(here) is not None:
            continue
        pattern = view.hidden_by(here)
        if pattern is not None:
            return f"it exists, but the ignore file hides /{here} by the pattern {pattern!r}"
        parent = "/".join(parts[: length - 1])
        import difflib

        close = difflib.get_close_matches(parts[length - 1], view.children(parent), n=1)
        return f"did you mean /{parent}{'/' if parent else ''}{close[0]}?" if close else None
    return None


class Filter:
    """Which paths below a source are taken: those that --parents names, without those that --exclude names.

    Paths are relative to the source. Raises InputError for a pattern that means nothing.
    """

    def __init__(self, include: str | None, excludes: tuple[str, ...]) -> None:
        self.takes_all = include is None and not excludes
        self._include = None
        self._matcher = None
        if include is not None:
            literal = "\\" + include if include.startswith("!") else include  # a name, and no exception
            self._include = compile_pattern(literal)
            self._matcher = IgnoreMatcher((literal,))
        self._excludes = IgnoreMatcher(excludes) if excludes else None

    def takes(self, path: str) -> bool:
        """Whether `path` itself is taken."""
        if self._matcher is not None and not self._matcher.ignored(path):
            return False
        return self._excludes is None or not self._excludes.ignored(path)

    def may_descend(self, path: str) -> bool:
        """Whether something below the directory `path`, which is not taken itself, can be."""
        if self._excludes is not None and not self._excludes.may_descend(path):
            return False
        if self._matcher is None or self._include is None or self._matcher.ignored(path):
            return True
        return self._include.reaches_below(path.split("/"))


def filter_of(op: CopyOp, source: CopySource) -> Filter:
    """The filter of one source of an op."""
    if not op.parents or source.inline is not None:
        return Filter(None, op.excludes)
    return Filter(below_pivot(source) or None, op.excludes)


def below_pivot(source: CopySource) -> str:
    """With --parents: the path that is kept under the destination, "" for everything."""
    path, pivot = source.path.strip("/"), source.pivot.strip("/")
    return path[len(pivot) :].strip("/") if pivot and (path + "/").startswith(pivot + "/") else path


def walk(view: View, top: str, chosen: Filter) -> Iterator[Found]:
    """What is taken below the directory `top`, in `tree.row.order`."""
    cut = len(top) + 1 if top else 0

    def rows(path: str) -> list[Child[Row]]:
        return [Child(row.path, row.type == DIR, row) for row in view.entries(path)]

    for child, bridge in walk_children(rows, top, chosen):
        yield Found(child.of, child.path[cut:], bridge)


def walk_children(
    listing: Callable[[str], list[Child[T]]], top: str, chosen: Filter
) -> Iterator[tuple[Child[T], bool]]:
    """`walk` over whatever `listing` gives of a directory, sorted; each with whether it is a bridge.

    No recursion: a tree may be as deep as it likes.
    """
    cut = len(top) + 1 if top else 0
    takes_all = chosen.takes_all
    todo = [(0, child) for child in reversed(listing(top))]
    waiting: list[tuple[int, Child[T]]] = []  # directories left out so far, with their depths
    while todo:
        depth, child = todo.pop()
        while waiting and waiting[-1][0] >= depth:
            waiting.pop()
        if takes_all or chosen.takes(child.path[cut:]):
            for _, bridge in waiting:
                yield bridge, True
            waiting.clear()
            yield child, False
        elif child.is_dir and chosen.may_descend(child.path[cut:]):
            waiting.append((depth, child))
        else:
            continue
        if child.is_dir:
            todo += [(depth + 1, below) for below in reversed(listing(child.path))]


def check_kept(view: View, source: CopySource, start: Match) -> None:
    """With --parents: a plain path must be there, symlinks not followed. Raises InputError when it is not."""
    kept = below_pivot(source)
    if not kept or glob.has_wildcard(kept):
        return
    path = f"{start.row.path}/{kept}" if start.row.path else kept
    if view.row(path) is None:
        raise missing(view, source.path.strip("/"))
