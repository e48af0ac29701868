"""Layers merged: the rows that show through a stack of snapshots, each with the directory of its bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from jettison.tree.manifest import read_rows
from jettison.tree.row import DELETED, DIR, Row, order


def merged_rows(snapshots: Sequence[str]) -> list[tuple[Row, str]]:
    """Every path of the tree, in `tree.row.order`, with the `files/` that holds its bytes; `snapshots` bottom first.

    Links are kept within a layer: `link` names a group of one snapshot only, made apart from those of the others.
    """
    tree = _Tree()
    for number, snapshot in enumerate(snapshots):
        files = os.path.join(snapshot, "files")
        rows = read_rows(snapshot)
        tree.hide(rows)
        for row in rows:
            if row.type != DELETED:
                tree.put(_apart(row, number), files)
    return sorted(tree.found.values(), key=lambda item: order(item[0].path))


def _apart(row: Row, number: int) -> Row:
    return msgspec.structs.replace(row, link=f"{number}:{row.link}") if row.link else row


class _Tree:
    def __init__(self) -> None:
        self.found: dict[str, tuple[Row, str]] = {}
        self.children: dict[str, set[str]] = {}  # by directory, so that a whiteout walks what it hides only

    def hide(self, rows: list[Row]) -> None:
        """What a layer takes away of those below it, before its own paths come."""
        for row in rows:
            if row.type == DELETED:
                self.remove(row.path)
            elif row.opaque:
                self.remove_below(row.path)

    def put(self, row: Row, files: str) -> None:
        old = self.found.get(row.path)
        if old is not None:
            if row.implied and old[0].type == DIR:
                return  # an ancestor that the layer only passes through
            if old[0].type == DIR and row.type != DIR:
                self.remove_below(row.path)
        elif row.path:
            self.children.setdefault(row.path.rpartition("/")[0], set()).add(row.path)
        self.found[row.path] = (row, files)

    def remove(self, path: str) -> None:
        if self.found.pop(path, None) is not None:
            self.children[path.rpartition("/")[0]].discard(path)
            self.remove_below(path)

    def remove_below(self, path: str) -> None:
        doomed = [path]
        while doomed:
            for child in self.children.pop(doomed.pop(), ()):
                self.found.pop(child, None)
                doomed.append(child)
