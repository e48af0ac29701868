"""A live directory of the user as a tree: a build context, seen through its ignore file. Reference §1.6 and §1.10.

Every owner is 0:0. Nothing outside the directory can be reached: no symlink is ever followed by the kernel here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from jettison.base.errors import InputError
from jettison.syntax.ignore import IgnoreMatcher
from jettison.tree.row import BLOCK, CHAR, DIR, FIFO, FILE, SYMLINK, Row

_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: DIR,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK,
    stat.S_IFIFO: FIFO,
    stat.S_IFSOCK: FILE,  # an empty one (reference §1.6)
}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = (FileNotFoundError, NotADirectoryError)


def kept_xattr(name: str) -> bool:
    """Whether an extended attribute of a user's file is carried over: capabilities, and the user's own. What would
    steer an overlay or our own records is not (mechanisms: a snapshot), nor what belongs to this machine.
    """
    return name == "security.capability" or (
        name.startswith("user.") and not name.startswith(("user.overlay.", "user.jettison."))
    )


def xattrs_of(path: str) -> tuple[tuple[str, bytes], ...]:
    """The extended attributes of `path` (no symlink followed) that are carried over, sorted."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return tuple(
            (name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names) if kept_xattr(name)
        )
    except OSError:  # a filesystem without them; or a capability of ids that this namespace lacks
        return ()


def _check_owner(status: os.stat_result) -> None:
    """Raise PermissionError for what is ours, and may not be read by us but for a capability."""
    needed = stat.S_IRUSR | stat.S_IXUSR if stat.S_ISDIR(status.st_mode) else stat.S_IRUSR
    if status.st_uid == os.geteuid() and status.st_mode & needed != needed:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


class DirectoryView:
    """The directory `root`, without what `ignore_patterns` hide; see `tree.view.View`.

    What it gives is as it was when first looked at, or later: the directory may change at any time. Raises InputError
    for what cannot be read.
    """

    linkable = False
    empty = False

    def __init__(self, root: str, ignore_patterns: Iterable[str] = (), *, as_owner: bool = False) -> None:
        """`as_owner`: what its owner, who is us, may not read is not read, though we are root of a user namespace."""
        self.root = root
        self._as_owner = as_owner
        patterns = tuple(ignore_patterns)
        self._matcher = IgnoreMatcher(patterns) if patterns else None
        self._real: dict[str, bool] = {"": True}
        self._shown: dict[str, bool] = {}
        self._at = ("", -1)  # the directory that was opened last, with its descriptor

    def close(self) -> None:
        """Give back the descriptor that is kept for speed."""
        if self._at[1] >= 0:
            os.close(self._at[1])
            self._at = ("", -1)

    def row(self, path: str) -> Row | None:
        """See `View`."""
        if not self._is_real(path.rpartition("/")[0]):
            return None
        status = self._lstat(path)
        if status is None or not self.visible(path, stat.S_ISDIR(status.st_mode)):
            return None
        return self.row_of(path, status)

    def entries(self, path: str) -> list[Row]:
        """See `View`."""
        rows = []
        for child, entry in self.scan(path):
            try:
                rows.append(self.row_of(child, entry.stat(follow_symlinks=False)))
            except _ABSENT:  # gone since
                continue
        return rows

    def children(self, path: str) -> list[str]:
        """See `View`."""
        return [entry.name for _, entry in self.scan(path)]

    def scan(self, path: str) -> list[tuple[str, os.DirEntry[str]]]:
        """What is visible directly below `path`, as paths with their directory entries, sorted."""
        if not self._is_real(path):
            return []
        try:
            if self._as_owner:
                _check_owner(os.lstat(self.where(path)))
            with os.scandir(self.where(path)) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise self._unreadable(path, error) from error
        prefix = f"{path}/" if path else ""
        if self._matcher is None:
            return [(prefix + entry.name, entry) for entry in entries]
        return [
            (prefix + entry.name, entry)
            for entry in entries
            if self.visible(prefix + entry.name, entry.is_dir(follow_symlinks=False))
        ]

    def where(self, path: str) -> str:
        """See `View`."""
        return f"{self.root}/{path}" if path else self.root

    def open(self, path: str) -> int:
        """See `View`. Raises InputError for what is no regular file (any more)."""
        parent, _, name = path.rpartition("/")
        try:
            fd = os.open(name, _FILE, dir_fd=self._open_directory(parent))
        except OSError as error:
            raise self._unreadable(path, error) from error
        status = os.fstat(fd)
        try:
            if self._as_owner:
                _check_owner(status)
        except OSError as error:
            os.close(fd)
            raise self._unreadable(path, error) from error
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise InputError(f"/{path} changed while it was read")
        return fd

    def link_of(self, row: Row) -> str:
        """See `View`."""
        return row.link

    def hidden_by(self, path: str) -> str | None:
        """See `View`."""
        if self._matcher is None or not self._is_real(path.rpartition("/")[0]) or self._lstat(path) is None:
            return None
        rule = self._matcher.rule_for(path)
        return self._matcher.patterns[rule] if rule is not None and self._matcher.ignored(path) else None

    def visible(self, path: str, is_dir: bool) -> bool:
        """Whether the ignore file leaves `path`; a hidden directory is there when something below it is."""
        if self._matcher is None or not path or not self._matcher.ignored(path):
            return True
        if not is_dir or not self._matcher.may_descend(path):
            return False
        shown = self._shown.get(path)
        if shown is None:
            shown = self._shown[path] = bool(self.scan(path))
        return shown

    def _is_real(self, path: str) -> bool:
        """Whether `path` is a directory and no symlink is on the way to it."""
        real = self._real.get(path)
        if real is not None:
            return real
        unknown = []
        while path not in self._real:  # no recursion: a path may be as deep as it likes
            unknown.append(path)
            path = path.rpartition("/")[0]
        real = self._real[path]
        for below in reversed(unknown):
            status = self._lstat(below) if real else None
            real = self._real[below] = status is not None and stat.S_ISDIR(status.st_mode)
        return real

    def _lstat(self, path: str) -> os.stat_result | None:
        try:
            return os.lstat(self.where(path))
        except _ABSENT:
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error

    def row_of(self, path: str, status: os.stat_result) -> Row:
        """The row of what is at `path`, of which `status` is known."""
        kind = _KINDS[stat.S_IFMT(status.st_mode)]
        where = self.where(path)
        target, device = "", (0, 0)
        if kind == SYMLINK:
            try:
                target = os.readlink(where)
            except OSError as error:
                raise self._unreadable(path, error) from error
        elif kind in (CHAR, BLOCK):
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        return Row(
            path,
            kind,
            0o777 if kind == SYMLINK else stat.S_IMODE(status.st_mode),
            size=status.st_size if stat.S_ISREG(status.st_mode) else 0,
            mtime_ns=status.st_mtime_ns,
            target=target,
            device=device,
            xattrs=xattrs_of(where),
            link=f"{status.st_dev}:{status.st_ino}" if status.st_nlink > 1 and kind not in (DIR, SYMLINK) else "",
        )

    def _open_directory(self, path: str) -> int:
        """A descriptor of a directory, opened step by step, so that a symlink put in its place is not followed."""
        if self._at[1] >= 0 and self._at[0] == path:
            return self._at[1]
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in path.split("/") if path else ():
            outer = fd
            try:
                fd = os.open(part, _DIRECTORY, dir_fd=outer)
            finally:
                os.close(outer)
        self.close()
        self._at = (path, fd)
        return fd

    def _unreadable(self, path: str, error: OSError) -> InputError:
        hint = "make it readable, or name it in .dockerignore"
        return InputError(f"cannot read {self.where(path)}: {error.strerror}", hint=hint)
