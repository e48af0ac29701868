"""One row at a time onto a filesystem that is ours: files, directories, symlinks, devices, and an overlay's marks.

What a disk cannot hold (an id that the namespace lacks, a device in it, an attribute) the manifest does: it is tried,
and no fault. The directories that things are made in are always made by us: no path here leads through a symlink.
"""

from __future__ import annotations

import errno
import os
import stat

import msgspec

from jettison.tree.row import CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row

_NOT_HELD = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk(msgspec.Struct, frozen=True):
    """How rows are written here. `overlay_namespace` is where an overlay's marks go: trusted or user (no `.`)."""

    overlay_namespace: str = "trusted"

    def create(self, at: str, row: Row) -> None:
        """Make `row` at the path `at`, where nothing is; a file empty, a DELETED row as a whiteout. Raises OSError."""
        if row.type == FILE:
            fd = os.open(at, _NEW, 0o600)
            try:
                self.finish(fd, row)
            finally:
                os.close(fd)
            return
        if row.type == DELETED:
            self.whiteout(at)
            return
        if row.type == DIR:
            os.mkdir(at, 0o700)
        elif row.type == SYMLINK:
            os.symlink(row.target, at)
        elif row.type == FIFO:
            os.mkfifo(at, 0o600)
        else:
            _device(at, row)
        self.finish_path(at, row)

    def finish(self, fd: int, row: Row) -> None:
        """Give an open file or directory what `row` says: owner, mode, attributes, the time last. Raises OSError."""
        try:
            os.fchown(fd, row.uid, row.gid)
        except OSError as error:
            _only_not_held(error)
        os.fchmod(fd, row.mode)  # after chown, which takes setuid and setgid away
        if row.xattrs or row.opaque:
            self._set_xattrs(fd, row)
        os.utime(fd, ns=(row.mtime_ns, row.mtime_ns))

    def finish_path(self, at: str, row: Row) -> None:
        """The same of what is at the path `at`; a symlink there is not followed."""
        if row.type in (DIR, FILE):
            fd = os.open(at, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self.finish(fd, row)
            finally:
                os.close(fd)
            return
        try:
            os.chown(at, row.uid, row.gid, follow_symlinks=False)
        except OSError as error:
            _only_not_held(error)
        if row.type != SYMLINK:
            os.chmod(at, row.mode)
        if row.xattrs:
            self._set_xattrs(at, row)
        os.utime(at, ns=(row.mtime_ns, row.mtime_ns), follow_symlinks=False)

    def whiteout(self, at: str) -> None:
        """Make the mark that hides what a lower layer has there."""
        os.mknod(at, stat.S_IFCHR, os.makedev(0, 0))

    def opaque(self, at: str | int) -> None:
        """Mark a directory: nothing below it shows of the lower layers."""
        os.setxattr(at, f"{self.overlay_namespace}.overlay.opaque", b"y")

    def _set_xattrs(self, at: str | int, row: Row) -> None:
        follow = isinstance(at, int)  # a descriptor has nothing to follow, and the call wants to be told so
        for name, value in row.xattrs:
            try:
                os.setxattr(at, name, value, follow_symlinks=follow)
            except OSError as error:
                _only_not_held(error)
        if row.opaque:
            self.opaque(at)


class BytesAlone(Disk, frozen=True):
    """Names and bytes that whoever runs this can read; all else that a row says stands in the manifest alone."""

    def create(self, at: str, row: Row) -> None:
        """See `Disk`; what is neither file, directory nor symlink is an empty file in its place."""
        if row.type == SYMLINK:
            os.symlink(row.target, at)
        elif row.type == DIR:
            os.mkdir(at, 0o700)
        else:
            os.close(os.open(at, _NEW, 0o600))

    def finish(self, fd: int, row: Row) -> None:
        """Nothing is finished."""

    def finish_path(self, at: str, row: Row) -> None:
        """Nothing is finished."""


def _device(at: str, row: Row) -> None:
    """A device; in a user namespace, where there can be none, an empty file in its place."""
    kind = stat.S_IFCHR if row.type == CHAR else stat.S_IFBLK
    try:
        os.mknod(at, kind | 0o600, os.makedev(*row.device))
    except OSError as error:
        _only_not_held(error)
        os.close(os.open(at, _NEW, 0o600))


def _only_not_held(error: OSError) -> None:
    if error.errno not in _NOT_HELD:
        raise error
