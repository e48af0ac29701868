"""What a step changed: an overlay's upper directory becomes a snapshot's rows and files (mechanisms §3).

However a change was made, the rows are the same: a path that was opened for writing, or given the mode it had, is
compared with what was there and dropped; a directory that was replaced becomes one with whiteouts of its old children,
in the rows and on the disk. The cost is that of the upper directory, not of the image.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence

import msgspec

from jettison.tree.conveyor import Outlet
from jettison.tree.copying import NOWHERE, copy_through
from jettison.tree.directory import xattrs_of
from jettison.tree.manifest import Head, write_head, write_rows
from jettison.tree.row import BLOCK, CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row, order, with_digest
from jettison.tree.tape import Came, Tape, make_files

_TYPES = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIR,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK,
    stat.S_IFIFO: FIFO,
}
_NO_FOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20
_CAPABILITY = "security.capability"
_CAP_REVISION_2, _CAP_REVISION_3, _CAP_REVISIONS = 0x02, 0x03, 3


class Made(msgspec.Struct, frozen=True):
    """A mountpoint that was made for a step: its path, and its parent's mtime before and after that (ns)."""

    path: str
    before_ns: int
    after_ns: int


class LiveView:
    """A directory as a tree, exactly as the kernel shows it: owners, modes, times. What `tree.view` calls a View."""

    linkable = False
    empty = False

    def __init__(self, root: str) -> None:
        self._root = root

    def row(self, path: str) -> Row | None:
        """The row of `path`, a symlink itself; None where nothing is, or nothing that a layer can hold."""
        where = self.where(path)
        try:
            status = os.lstat(where)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return row_of(where, path, status)

    def entries(self, path: str) -> list[Row]:
        """The rows in a directory, in order of name."""
        rows = (self.row(f"{path}/{name}" if path else name) for name in self.children(path))
        return [row for row in rows if row is not None]

    def children(self, path: str) -> list[str]:
        """The names in a directory, sorted; [] when it is none."""
        try:
            return sorted(os.listdir(self.where(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def open(self, path: str) -> int:
        """A descriptor of a file's bytes."""
        return os.open(self.where(path), _NO_FOLLOW)

    def where(self, path: str) -> str:
        """The real path of `path`."""
        return os.path.join(self._root, path) if path else self._root

    def link_of(self, row: Row) -> str:
        """Nothing: hard links are not told apart here."""
        del row
        return ""

    def hidden_by(self, path: str) -> str | None:
        """Nothing hides what is there."""
        del path
        return None


def row_of(where: str, path: str, status: os.stat_result) -> Row | None:
    """The row of what lies at `where`, as `path`; None for a socket, which no layer can hold."""
    kind = _TYPES.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (CHAR, BLOCK) else (0, 0)
    return Row(
        path,
        kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind == FILE else 0,
        mtime_ns=status.st_mtime_ns,
        target=os.readlink(where) if kind == SYMLINK else "",
        device=device,
        xattrs=_image_xattrs(where),
    )


def _image_xattrs(where: str) -> tuple[tuple[str, bytes], ...]:
    """The attributes that belong to the image, none of an overlay's marks; capabilities as an image holds them."""
    return tuple((name, _plain_capability(value) if name == _CAPABILITY else value) for name, value in xattrs_of(where))


def _plain_capability(value: bytes) -> bytes:
    """A file capability as an image holds it: revision 2, without the root id that a namespace's adds (24 bytes)."""
    if len(value) == 24 and value[_CAP_REVISIONS] == _CAP_REVISION_3:
        return value[:_CAP_REVISIONS] + bytes([_CAP_REVISION_2]) + value[4:20]
    return value


def remove_mountpoints(upper: str, made: Sequence[Made]) -> None:
    """Take mountpoints out of an upper directory where they are still empty, and give their parents' times back."""
    for point in reversed(made):
        path = os.path.join(upper, point.path)
        parent = os.path.dirname(path)
        try:
            status, above = os.lstat(path), os.stat(parent)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(path)
            elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
                os.unlink(path)
            else:
                continue
        except OSError:  # something was put there, or it lies in another mount
            continue
        mtime = point.before_ns if above.st_mtime_ns == point.after_ns else above.st_mtime_ns
        os.utime(parent, ns=(above.st_atime_ns, mtime))


def is_untouched(upper: str, below: str) -> bool:
    """Whether an upper directory is empty and its root has the owner and mode of `below`: nothing was changed."""
    with os.scandir(upper) as entries:
        if next(entries, None) is not None:
            return False
    one, two = os.stat(upper), os.stat(below)
    return (one.st_mode, one.st_uid, one.st_gid) == (two.st_mode, two.st_uid, two.st_gid)


def commit(
    stage: str,
    base: LiveView,
    out: str,
    *,
    namespace: str,
    head: Head,
    tape: Tape | None = None,
    workers: int = 1,
) -> list[Row]:
    """Make the snapshot `out` of the directory `stage`, on the same filesystem; its rows, [] when nothing changed.

    In it lies `files`, an upper directory that nobody writes to any more, and nothing else. `base` shows the tree
    below; `namespace` is that of the overlay's marks: trusted or user. `tape` is told of the snapshot meanwhile. Up to
    `workers` processes read the files; the caller must then have no threads.
    """
    files = os.path.join(stage, "files")
    rows = Scan(files, base, namespace).rows()
    if rows:
        rows = write_rows(stage, _summed(rows, files, tape, workers))
        write_head(stage, head)
        os.rename(stage, out)
    return rows


def _summed(rows: list[Row], files: str, tape: Tape | None, workers: int) -> list[Row]:
    """The rows, with the digests of their files: these are in memory yet, and every step's result is summed."""

    def read(row: Row, outlet: Outlet) -> Came:
        fd = os.open(f"{files}/{row.path}", _NO_FOLLOW)
        try:
            return Came(*copy_through(fd, NOWHERE, row.size, outlet))
        finally:
            os.close(fd)

    firsts = [row for row in rows if row.type == FILE and row.size and row.link in ("", row.path)]
    found: dict[str, str] = {}

    def made(number: int, came: Came) -> None:
        found[firsts[number].path] = came.digest

    make_files(read, firsts, firsts, rows, made, tape=tape, workers=workers)
    return [with_digest(row, found[row.link or row.path]) if row.type == FILE and row.size else row for row in rows]


class Scan:
    """The rows of an upper directory. What is dropped is removed from it, so that files and rows agree."""

    def __init__(self, upper: str, base: LiveView, namespace: str) -> None:
        self._upper = upper
        self._base = base
        self._opaque = f"{namespace}.overlay.opaque"
        self._rows: list[Row] = []
        self._links: dict[tuple[int, int], list[int]] = {}  # inode to indexes of rows
        self._directories: list[tuple[Row, Row | None]] = []  # as they are and were, parents first
        self._needed: set[str] = set()  # ancestors of what changed
        self._touched: set[str] = set()  # directories whose mtime our own removals moved

    def rows(self) -> list[Row]:
        """All rows in order; empty when nothing changed."""
        self._walk()
        self._settle_directories()
        self._settle_links()
        self._restore_times()
        self._rows.sort(key=lambda row: order(row.path))
        return self._rows if len(self._rows) > 1 or not self._rows[0].implied else []

    def _walk(self) -> None:
        # Not recursive: a step can make a tree deeper than Python's stack.
        left = [("", False)]
        root = row_of(self._upper, "", os.lstat(self._upper))
        self._directories.append((_known(root), self._base.row("")))
        while left:
            path, replaced = left.pop()
            present = set()
            with os.scandir(self._where(path)) as entries:
                for entry in list(entries):
                    inside = f"{path}/{entry.name}" if path else entry.name
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        left.append((inside, self._directory(inside, status, replaced=replaced)))
                        present.add(entry.name)
                    elif self._leaf(inside, status):
                        present.add(entry.name)
            if replaced:
                self._delete(path, (name for name in self._base.children(path) if name not in present))

    def _directory(self, path: str, status: os.stat_result, *, replaced: bool) -> bool:
        """Note a directory; whether it stands in the place of an old one, whose children it hides."""
        where = self._where(path)
        old = self._base.row(path)
        self._directories.append((_known(row_of(where, path, status)), old))
        opaque = self._take_opaque(where)
        return old is not None and old.type == DIR and (replaced or opaque)

    def _take_opaque(self, where: str) -> bool:
        """Whether the directory is marked opaque; the mark is taken off, since whiteouts say the same."""
        try:
            if os.getxattr(where, self._opaque, follow_symlinks=False) != b"y":
                return False
        except OSError:
            return False
        os.removexattr(where, self._opaque, follow_symlinks=False)
        return True

    def _leaf(self, path: str, status: os.stat_result) -> bool:
        """Note what is no directory; False when the path is not there any more."""
        old = self._base.row(path)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            if old is None:
                self._drop(path)
            else:
                self._add(Row(path, DELETED))
            return True
        new = row_of(self._where(path), path, status)
        if new is None:  # a socket: no layer holds one
            self._drop(path)
            if old is not None:
                self._delete_one(path)
        elif old is not None and self._same(new, old):
            self._drop(path)
        else:
            if new.type == FILE and status.st_nlink > 1:
                self._links.setdefault((status.st_dev, status.st_ino), []).append(len(self._rows))
            self._add(new)
        return True

    def _same(self, new: Row, old: Row) -> bool:
        if new != old:
            return False
        return new.type != FILE or _equal_bytes(self._where(new.path), self._base.where(old.path), new.size)

    def _delete(self, directory: str, names: Iterable[str]) -> None:
        for name in names:
            self._delete_one(f"{directory}/{name}" if directory else name)

    def _delete_one(self, path: str) -> None:
        """A whiteout, in the rows and on the disk."""
        os.mknod(self._where(path), stat.S_IFCHR, 0)
        self._touched.add(os.path.dirname(path))
        self._add(Row(path, DELETED))

    def _drop(self, path: str) -> None:
        os.unlink(self._where(path))
        self._touched.add(os.path.dirname(path))

    def _add(self, row: Row) -> None:
        self._rows.append(row)
        path = row.path
        while path and (path := os.path.dirname(path)) not in self._needed:
            self._needed.add(path)

    def _settle_directories(self) -> None:
        """Keep what changed, and the ancestors of what did; from the leaves up."""
        for new, old in reversed(self._directories):
            # The mtime alone is no change: making and removing a file moves it.
            if old is None or msgspec.structs.replace(new, mtime_ns=old.mtime_ns) != old:
                self._add(new)
            elif new.path in self._needed or not new.path:
                self._rows.append(msgspec.structs.replace(new, implied=True))
            else:
                os.rmdir(self._where(new.path))
                self._touched.add(os.path.dirname(new.path))

    def _settle_links(self) -> None:
        for indexes in self._links.values():
            if len(indexes) > 1:
                first = min((self._rows[index].path for index in indexes), key=order)
                for index in indexes:
                    self._rows[index] = msgspec.structs.replace(self._rows[index], link=first)

    def _restore_times(self) -> None:
        times = {new.path: new.mtime_ns for new, _ in self._directories}
        for path in self._touched:
            where = self._where(path)
            try:
                os.utime(where, ns=(os.stat(where).st_atime_ns, times[path]))
            except FileNotFoundError:  # dropped itself
                continue

    def _where(self, path: str) -> str:
        return os.path.join(self._upper, path) if path else self._upper


def _known(row: Row | None) -> Row:
    assert row is not None  # noqa: S101 - a directory always has a row
    return row


def _equal_bytes(one: str, two: str, size: int) -> bool:
    """Whether two files of this size hold the same bytes."""
    first, second = os.open(one, _NO_FOLLOW), os.open(two, _NO_FOLLOW)
    try:
        at = 0
        while at < size:
            piece = os.pread(first, _PIECE, at)
            if not piece or piece != os.pread(second, len(piece), at):
                return False
            at += len(piece)
        return True
    finally:
        os.close(first)
        os.close(second)
