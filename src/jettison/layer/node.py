"""An archive's tree in memory, while its entries come in."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jettison.layer.tarread import Entry
from jettison.tree.row import Row


class Node(msgspec.Struct, gc=False):
    """One inode: names that are hard links of each other hold the same node."""

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()
    size: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    opaque: bool = False
    implied: bool = False
    children: dict[str, Node] = {}

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
