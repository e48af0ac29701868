"""The bytes of one file, from one descriptor to another: as the kernel does it, summed, or past an outlet, too."""

from __future__ import annotations

import errno
import hashlib
import os

from jettison.base.digest import running
from jettison.tree.conveyor import Outlet

NOWHERE = -1  # a target: the bytes are only read
_SMALL_BYTES = 128 * 1024  # read and written in one piece
_PIECE_BYTES = 1 << 30
_NO_RANGE = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


def copy_bytes(source: int, target: int, expected: int) -> int:
    """Everything from where `source` stands, into `target`; how many bytes that was. `expected` chooses the way: the
    kernel copies what is not small, and only notes who shares it where the filesystem can.
    """
    total = 0
    if expected > _SMALL_BYTES:
        try:
            while done := os.copy_file_range(source, target, _PIECE_BYTES):
                total += done
        except OSError as error:
            if error.errno not in _NO_RANGE or total:
                raise
    while data := os.read(source, _SMALL_BYTES):
        _write(target, data)
        total += len(data)
        if total == expected and len(data) < _SMALL_BYTES:
            break  # a read that gave less than asked ended at the end
    return total


def copy_summed(source: int, target: int, expected: int) -> tuple[int, str]:
    """The same, read here: how many bytes that was, and their digest."""
    data = os.read(source, _SMALL_BYTES)
    summed, total = hashlib.sha256(data), len(data)
    _write(target, data)
    while total != expected or len(data) == _SMALL_BYTES:
        data = os.read(source, _SMALL_BYTES)
        if not data:
            break
        summed.update(data)
        _write(target, data)
        total += len(data)
    return total, "sha256:" + summed.hexdigest()


def copy_through(source: int, target: int, expected: int, outlet: Outlet, digest: str = "") -> tuple[int, str]:
    """The same, past an outlet; `target` may be NOWHERE. What has a `digest` already is not summed again."""
    outlet.begin(expected)
    summed = None if digest else running()
    total = 0
    while True:
        room = outlet.room()
        count = os.readv(source, (room,))
        if summed is not None:
            summed.update(room[:count])
        if target != NOWHERE:
            _write(target, room[:count])
        outlet.put(count)
        total += count
        if not count or (total == expected and count < len(room)):
            break
    return total, digest if summed is None else "sha256:" + summed.hexdigest()


def _write(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
