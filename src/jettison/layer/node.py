"""An archive's tree in memory, while its entries come in."""

from __future__ import annotations

from collections.abc import Iterator

from jettison.layer.tarread import Entry
from jettison.tree.row import DIR, Row


class Node:
    """One inode: names that are hard links of each other hold the same node."""

    __slots__ = (
        "children",
        "device",
        "gid",
        "implied",
        "kind",
        "mode",
        "mtime_ns",
        "opaque",
        "size",
        "target",
        "uid",
        "xattrs",
    )

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.mode = 0o755 if kind == DIR else 0
        self.uid = self.gid = self.size = self.mtime_ns = 0
        self.target = ""
        self.device = (0, 0)
        self.xattrs: tuple[tuple[str, bytes], ...] = ()
        self.opaque = self.implied = False
        self.children: dict[str, Node] = {}

    def describe(self, entry: Entry, xattrs: tuple[tuple[str, bytes], ...]) -> None:
        """Take over what an entry says of owner, mode and time."""
        self.mode, self.uid, self.gid, self.mtime_ns = entry.mode, entry.uid, entry.gid, entry.mtime_ns
        self.xattrs = xattrs
        self.implied = False

    def row(self, path: str, link: str = "") -> Row:
        return Row(
            path,
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            self.size,
            self.mtime_ns,
            self.target,
            self.device,
            self.xattrs,
            link,
            self.opaque,
            self.implied,
        )


def paths(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """`node` and all below it, in `tree.row.order`. Without recursion: anyone may have made it deep."""
    todo = [(path, node)]
    while todo:
        here, node = todo.pop()
        yield here, node
        if node.children:
            prefix = f"{here}/" if here else ""
            todo += [(prefix + name, node.children[name]) for name in sorted(node.children, reverse=True)]
