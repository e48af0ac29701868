"""Entries of an archive become a tree: in memory first, and on the disk below a directory that is ours alone.

Anyone may have made the archive. Names are resolved in the tree in memory, whose every directory is one that we made,
so no call to the system ever goes through a symlink; `..` never leads out; a later entry replaces an earlier one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from jettison.base.errors import InputError
from jettison.layer.node import Node, paths
from jettison.layer.stream import Stream
from jettison.layer.tarread import HARD_LINK, Entry
from jettison.layer.tarwrite import OPAQUE, WHITEOUT
from jettison.tree.disk import Disk
from jettison.tree.row import CHAR, DELETED, DIR, FILE, SYMLINK, Row

_AUFS = ".wh..wh."
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_PATH_BYTES = 4095
_SURELY_SHORT = MAX_PATH_BYTES // 4  # characters, however they are encoded
_MAX_LINKS = 40  # as the kernel has it
MAX_TREE_BYTES = 1 << 30  # of memory, about: a few compressed kilobytes can name millions of directories
NODE_BYTES = 400
_MODE = 0o755  # of a directory that nobody describes
_NO_NAMES = frozenset(("", ".", ".."))
DROPPED_XATTRS = ("user.overlay.", "trusted.overlay.", "user.jettison.", "trusted.jettison.")

Lookup = Callable[[str], Row | None]


class Extraction:
    """The tree so far. `files` is an empty directory of ours that gets the bytes, "" for none; the umask must be 0.

    `layer`: `.wh.` names are whiteouts. `below` tells of a directory that the archive takes for granted: its row, for
    the owner and mode that it has there; `made_ns` is the mtime of one that is nowhere.
    """

    def __init__(
        self,
        files: str,
        disk: Disk | None,
        warn: Callable[[str], None],
        *,
        layer: bool,
        below: Lookup | None = None,
        made_ns: int = 0,
        max_tree_bytes: int = MAX_TREE_BYTES,
    ) -> None:
        self.files = files
        self.disk = disk
        self.warn = warn
        self.layer = layer
        self.below = below
        self.made_ns = made_ns
        self.root = self._implied()
        self._linked = False
        self._parents: dict[str, tuple[Node, str]] = {}
        self._bytes_left = max_tree_bytes
        self.own = _own_of(files) if files else None

    def add(self, entry: Entry, stream: Stream) -> None:
        """Take one entry, its content from `stream`. Raises InputError for what no archive may hold, OSError."""
        full = entry.name
        directory, _, name = full.rpartition("/")
        known = self._parents.get(directory)
        if known is None or name in _NO_NAMES:
            parts = clean(full)
            if not parts:
                self._describe_root(entry)
                return
            _check_length(full)  # before any directory of it is made
            known = self._parent(parts, full)
            if name == parts[-1]:
                self._spend(len(directory))
                self._parents[directory] = known
            name = parts[-1]
        elif len(full) > _SURELY_SHORT:
            _check_length(full)
        parent, place = known
        if name.startswith(WHITEOUT) and self.layer:
            self._hide(parent, name, full)
            return
        path = f"{place}/{name}" if place else name
        self._count(path)
        kind = entry.kind
        if kind == DIR:
            self._directory(parent, name, path, entry)
        elif kind == HARD_LINK:
            self._link(parent, name, path, entry)
        else:
            self._other(parent, name, path, entry, stream)

    def _count(self, path: str) -> None:
        if len(path) > _SURELY_SHORT:
            _check_length(path)
        self._spend(NODE_BYTES + len(path))

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise InputError("the archive holds too many paths")

    def _describe_root(self, entry: Entry) -> None:
        if entry.kind != DIR:
            raise InputError(f"the archive has an entry {entry.name!r}, which is no directory, for its root")
        self.root.describe(entry, self._xattrs(entry))

    def _directory(self, parent: Node, name: str, path: str, entry: Entry) -> None:
        node = parent.children.get(name)
        if node is None or node.kind != DIR:
            made = Node(DIR, _MODE)
            made.opaque = node is not None and node.kind == DELETED
            self._remove(parent, name, path)
            node = parent.children[name] = made
            self._make_directory(path)
        node.describe(entry, self._xattrs(entry))

    def _other(self, parent: Node, name: str, path: str, entry: Entry, stream: Stream) -> None:
        if entry.kind == CHAR and entry.device == (0, 0):
            raise InputError(f"the archive holds the device 0:0 as {entry.name!r}: it would hide files")
        if name in parent.children:
            self._remove(parent, name, path)
        kind, mode = entry.kind, entry.mode
        if kind == SYMLINK:
            mode = 0o777
            if not entry.target or "\0" in entry.target:
                raise InputError(f"the archive holds a symlink without a target: {entry.name!r}")
        xattrs = self._xattrs(entry) if entry.xattrs else ()
        size = entry.size if kind == FILE else 0
        node = Node(kind, mode, entry.uid, entry.gid, entry.mtime_ns, xattrs, size, entry.target, entry.device)
        parent.children[name] = node
        if self.disk is None:
            return
        at = f"{self.files}/{path}"
        if entry.kind == FILE:
            self._write(at, node.row(path), entry, stream)
        else:
            self.disk.create(at, node.row(path))

    def _write(self, at: str, row: Row, entry: Entry, stream: Stream) -> None:
        assert self.disk is not None  # noqa: S101 - asked by the caller
        # Most files belong to who writes them: then opening gives them owner and mode, and two calls a file are saved.
        plain = (row.uid, row.gid) == self.own and row.mode <= 0o777 and not row.xattrs
        fd = os.open(at, _NEW, row.mode if plain else 0o600)
        try:
            if entry.pieces is None:
                stream.copy(fd, entry.size)
            else:
                for offset, length in entry.pieces:
                    os.lseek(fd, offset, os.SEEK_SET)
                    stream.copy(fd, length)
                os.ftruncate(fd, entry.size)
            if plain:
                os.utime(fd, ns=(row.mtime_ns, row.mtime_ns))
            else:
                self.disk.finish(fd, row)
        finally:
            os.close(fd)

    def _link(self, parent: Node, name: str, path: str, entry: Entry) -> None:
        found = self._find(clean(entry.target), entry.target)
        if found is None or found[0].kind in (DIR, DELETED):
            raise InputError(f"the archive has a hard link {entry.name!r} to {entry.target!r}, which it does not hold")
        node, target = found
        if target == path:
            return
        self._remove(parent, name, path)
        self._linked = True
        parent.children[name] = node
        node.describe(entry, self._xattrs(entry) or node.xattrs)
        if node.kind == SYMLINK:
            node.mode = 0o777
        if self.disk is not None:
            os.link(f"{self.files}/{target}", f"{self.files}/{path}", follow_symlinks=False)
            self.disk.finish_path(f"{self.files}/{path}", node.row(path))

    def _hide(self, parent: Node, name: str, full: str) -> None:
        """A whiteout hides what lower layers hold, and never what this one does (OCI layer: whiteouts)."""
        if name == OPAQUE:
            parent.opaque = True
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in _NO_NAMES:
            raise InputError(f"the archive holds a whiteout of nothing: {full!r}")
        if name.startswith(_AUFS):
            return  # aufs's own bookkeeping
        node = parent.children.get(hidden)
        if node is None:
            parent.children[hidden] = Node(DELETED)
        elif node.kind == DIR:
            node.opaque = True

    def _parent(self, parts: list[str], full: str) -> tuple[Node, str]:
        """The directory that an entry goes into, made when it is missing, with its path."""
        if len(parts) == 1:
            return self.root, ""
        found = self._walk(parts[:-1], full, create=True)
        assert found is not None  # noqa: S101 - what is missing was made
        return found

    def _find(self, parts: list[str], full: str) -> tuple[Node, str] | None:
        """What stands at a path, its last part not followed."""
        found = self._walk(parts[:-1], full, create=False)
        node = found[0].children.get(parts[-1]) if found and parts else None
        if found is None or node is None:
            return None
        return node, f"{found[1]}/{parts[-1]}" if found[1] else parts[-1]

    def _walk(self, parts: list[str], full: str, *, create: bool) -> tuple[Node, str] | None:
        """The directory at `parts`, symlinks on the way resolved inside the root."""
        todo = parts[::-1]
        nodes, names = [self.root], [""]
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                if len(nodes) > 1:
                    nodes.pop()
                    names.pop()
                continue
            node = nodes[-1].children.get(part)
            path = f"{names[-1]}/{part}" if names[-1] else part
            if node is None or node.kind == DELETED:
                if not create:
                    return None
                node = self._grow(nodes[-1], part, path, hidden=node is not None)
            if node.kind == SYMLINK:
                links += 1
                if links > _MAX_LINKS:
                    raise InputError(f"the archive has {full!r} behind too many symlinks")
                if node.target.startswith("/"):
                    nodes, names = nodes[:1], names[:1]
                todo += [step for step in reversed(node.target.split("/")) if step not in ("", ".")]
                continue
            if node.kind != DIR:
                raise InputError(f"the archive has {full!r}, but {path!r} is not a directory")
            nodes.append(node)
            names.append(path)
        return nodes[-1], names[-1]

    def _grow(self, parent: Node, name: str, path: str, *, hidden: bool) -> Node:
        """A directory that the archive takes for granted."""
        self._count(path)
        node = parent.children[name] = Node(DIR, _MODE) if hidden else self._implied()
        node.opaque = hidden
        self._make_directory(path)
        return node

    def _implied(self) -> Node:
        """A directory that no entry has described."""
        node = Node(DIR, _MODE)
        node.implied = True
        node.mtime_ns = self.made_ns
        return node

    def _as_below(self, path: str, node: Node) -> None:
        """Give a directory that no entry has described what it has in the tree below, if it is there."""
        row = self.below(path) if self.below else None
        if row is not None and row.type == DIR:
            node.mode, node.uid, node.gid = row.mode, row.uid, row.gid
            node.mtime_ns, node.xattrs = row.mtime_ns, row.xattrs

    def _make_directory(self, path: str) -> None:
        if self.disk is not None:
            os.mkdir(f"{self.files}/{path}", 0o700)

    def _remove(self, parent: Node, name: str, path: str) -> None:
        """Take away what an earlier entry put there, and all below it."""
        node = parent.children.pop(name, None)
        if node is None:
            return
        if node.kind in (DIR, SYMLINK):
            self._parents.clear()
        if self.disk is None or node.kind == DELETED:
            return
        for below, inner in reversed(list(paths(node, path))):
            if inner.kind == DIR:
                os.rmdir(f"{self.files}/{below}")
            elif inner.kind != DELETED:
                os.unlink(f"{self.files}/{below}")

    def _xattrs(self, entry: Entry) -> tuple[tuple[str, bytes], ...]:
        if not entry.xattrs:
            return ()
        kept = tuple(pair for pair in entry.xattrs if not pair[0].startswith(DROPPED_XATTRS))
        for key, _ in entry.xattrs:
            if key.startswith(DROPPED_XATTRS):
                self.warn(f"{entry.name}: the attribute {key} is dropped: it would steer the overlay")
        return kept

    def rows(self) -> list[Row]:
        """Every path as a row, in `tree.row.order`; needs the tree complete. Only now is asked what is below."""
        found = list(paths(self.root, ""))
        for path, node in found if self.below else ():
            if node.implied:
                self._as_below(path, node)
        if not self._linked:
            return [node.row(path) for path, node in found]
        names: dict[int, list[str]] = {}
        for path, node in found:
            if node.kind not in (DIR, DELETED):
                names.setdefault(id(node), []).append(path)
        return [node.row(path, _group(names.get(id(node), []))) for path, node in found]

    def settle(self, rows: list[Row]) -> None:
        """Give directories what they have, the deepest first, and mark what hides; needs the tree complete."""
        if self.disk is None:
            return
        for row in reversed(rows):
            if row.type == DELETED:
                self.disk.whiteout(f"{self.files}/{row.path}")
            elif row.type == DIR:
                at = f"{self.files}/{row.path}" if row.path else self.files
                self.disk.finish_path(at, row)


def _check_length(path: str) -> None:
    if len(path) <= _SURELY_SHORT:
        return
    if len(path) > MAX_PATH_BYTES or len(path.encode("utf-8", "surrogateescape")) > MAX_PATH_BYTES:
        raise InputError(f"the archive holds a path of more than {MAX_PATH_BYTES} bytes")


def clean(name: str) -> list[str]:
    """The parts of a name, which may be absolute and hold `.`; `..` is resolved as text. Raises InputError when it
    leads out of the archive.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." not in parts:
        return parts
    kept: list[str] = []
    for part in parts:
        if part != "..":
            kept.append(part)
        elif kept:
            kept.pop()
        else:
            raise InputError(f"the archive holds {name!r}, a path outside of it")
    return kept


def _own_of(directory: str) -> tuple[int, int] | None:
    """Owner and group that a new file below a directory has; None where the group is not ours to know."""
    status = os.stat(directory)
    alike = (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid()) and not status.st_mode & stat.S_ISGID
    return (status.st_uid, status.st_gid) if alike else None


def _group(names: list[str]) -> str:
    return names[0] if len(names) > 1 else ""
