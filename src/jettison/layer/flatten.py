"""The whole tree of a layer stack as one thing: a rootfs tar (`-o type=tar`) or a plain directory (`-o type=local`)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from jettison.base.errors import HostError, InternalError, refused
from jettison.layer.merge import merged_rows
from jettison.layer.pack import append_file
from jettison.layer.press import Press
from jettison.layer.tarwrite import END, layer_pieces
from jettison.tree.row import BLOCK, CHAR, DIR, FIFO, FILE, SYMLINK, Row

_COPY_BYTES = 1 << 20
_NS = 1_000_000_000


def export_tree(
    snapshots: Sequence[str],
    dest: str,
    form: str,
    epoch: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """The tree of `snapshots` (bottom first) at `dest`: `form` "tar" or "dir".

    The tar has one form; it is written aside and renamed. A directory is added to: what is there and not in the tree
    stays, and nothing is ever written through a symlink below it. Its files belong to whoever runs this; devices that
    may not be made are left out, with a warning. `epoch` (seconds) becomes every mtime, as SOURCE_DATE_EPOCH asks
    (reference §2.3). Raises HostError.
    """
    tree = [Found(_timed(row, epoch), files) for row, files in merged_rows(snapshots)]
    try:
        if form == "tar":
            _write_tar([(found.row, f"{found.files}/{found.row.path}") for found in tree], dest)
        elif form == "dir":
            _Directory(dest, warn).fill(tree)
        else:
            raise InternalError(f"unknown form of an export: {form}")
    except OSError as error:
        raise refused(f"cannot write {error.filename or dest}", error) from error


def export_trees(trees: Sequence[tuple[str, Sequence[str]]], dest: str, epoch: int | None = None) -> None:
    """Several trees in one tar, each below a directory of its name: (name, snapshots). Otherwise as `export_tree`."""
    entries = [
        (_below(name, _timed(row, epoch)), f"{files}/{row.path}")
        for name, snapshots in sorted(trees)
        for row, files in merged_rows(snapshots)
    ]
    try:
        _write_tar(entries, dest)
    except OSError as error:
        raise refused(f"cannot write {error.filename or dest}", error) from error


def _below(name: str, row: Row) -> Row:
    path = f"{name}/{row.path}" if row.path else name
    return msgspec.structs.replace(row, path=path, link=f"{name}/{row.link}" if row.link else "")


class Found(NamedTuple):
    """A row of the tree, and the directory that holds the bytes of its snapshot."""

    row: Row
    files: str


def _timed(row: Row, epoch: int | None) -> Row:
    if epoch is None:
        return row
    return msgspec.structs.replace(row, mtime_ns=epoch * _NS)


def _write_tar(entries: list[tuple[Row, str]], dest: str) -> None:
    """A tar of rows, each with the file that has its bytes."""
    if os.path.exists(dest) and not os.path.isfile(dest):
        with open(dest, "wb") as file:  # a pipe or a terminal
            _press_entries(entries, Press("uncompressed", file))
        return
    head, tail = os.path.split(os.path.abspath(dest))
    os.makedirs(head, exist_ok=True)
    aside = os.path.join(head, f".{tail}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(aside, "xb") as file:
            _press_entries(entries, Press("uncompressed", file))
        os.replace(aside, dest)
    except BaseException:
        if os.path.lexists(aside):
            os.unlink(aside)
        raise


def _press_entries(entries: list[tuple[Row, str]], press: Press) -> None:
    files = {row.path: file for row, file in entries}
    try:
        for piece in layer_pieces(row for row, _ in entries):
            press.write(piece.header)
            if piece.path is not None:
                append_file(press, files[piece.path], piece.size)
        press.write(END)
        press.finish()
    except BaseException:
        press.abandon()
        raise


class _Directory:
    """A directory that a tree is put into. Parents come before children, and each is made sure to be a directory."""

    def __init__(self, dest: str, warn: Callable[[str], None]) -> None:
        self.dest = dest
        self.warn = warn
        self.first_of: dict[str, str] = {}

    def fill(self, tree: list[Found]) -> None:
        os.makedirs(self.dest, exist_ok=True)
        for row, files in tree:
            if row.path:
                self._put(row, files)
        for row, _ in reversed(tree):
            if row.type == DIR and row.path:
                self._settle(row)

    def _put(self, row: Row, files: str) -> None:
        at = f"{self.dest}/{row.path}"
        if row.type == DIR:
            self._directory(at)
            return
        _clear(at)
        if row.link:
            first = self.first_of.setdefault(row.link, at)
            if first != at:
                self._link(first, at, row, files)
                return
        self._make(at, row, files)

    def _directory(self, at: str) -> None:
        try:
            mode = os.lstat(at).st_mode
        except FileNotFoundError:
            os.mkdir(at, 0o700)
            return
        if stat.S_ISDIR(mode):
            # It must be open to us while it is filled; its mode is set at the end.
            os.chmod(at, stat.S_IMODE(mode) | 0o700)
            return
        os.unlink(at)
        os.mkdir(at, 0o700)

    def _link(self, first: str, at: str, row: Row, files: str) -> None:
        try:
            os.link(first, at, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOENT):
                raise
            self._make(at, row, files)

    def _make(self, at: str, row: Row, files: str) -> None:
        if row.type == FILE:
            _copy(f"{files}/{row.path}", at, row.size)
        elif row.type == SYMLINK:
            os.symlink(row.target, at)
        elif row.type == FIFO:
            os.mkfifo(at, 0o600)
        elif row.type in (CHAR, BLOCK) and not self._device(at, row):
            return
        self._settle(row)

    def _device(self, at: str, row: Row) -> bool:
        kind = stat.S_IFCHR if row.type == CHAR else stat.S_IFBLK
        try:
            os.mknod(at, kind | 0o600, os.makedev(*row.device))
        except PermissionError:
            self.warn(f"the device /{row.path} is left out: making it needs root")
            return False
        return True

    def _settle(self, row: Row) -> None:
        at = f"{self.dest}/{row.path}"
        if row.type != SYMLINK:
            os.chmod(at, row.mode)
        os.utime(at, ns=(row.mtime_ns, row.mtime_ns), follow_symlinks=False)


def _clear(at: str) -> None:
    """Take away what stands at a path; a symlink itself, never what it names."""
    try:
        mode = os.lstat(at).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        import shutil

        shutil.rmtree(at)
    else:
        os.unlink(at)


def _copy(source: str, dest: str, size: int) -> None:
    """A file's bytes: shared blocks where the filesystem has them, else a copy."""
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        out = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            left = size
            for piece in _pieces(fd, out, size):
                left -= piece
            if left:
                raise HostError(f"a snapshot is damaged: {source} is not {size} bytes long")
        finally:
            os.close(out)
    finally:
        os.close(fd)


def _pieces(fd: int, out: int, size: int) -> Iterator[int]:
    """Copy up to `size` bytes; how many at a time."""
    copied = 0
    try:
        while copied < size and (count := os.copy_file_range(fd, out, size - copied)):
            copied += count
            yield count
    except OSError as error:
        if copied or error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise
        while copied < size and (data := os.read(fd, min(_COPY_BYTES, size - copied))):
            copied += len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(out, view) :]
            yield len(data)
