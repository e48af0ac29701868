"""The bytes of one file, from one descriptor to another: as the kernel does it, summed, or past an outlet, too.

What is not small the kernel copies (copy_file_range): on a filesystem that can, both files then share their blocks,
and nothing is copied at all. What was copied is summed there, not where it came from: that may change.
"""

from __future__ import annotations

import errno
import os

from jettison.base.digest import running
from jettison.tree.conveyor import Outlet

NOWHERE = -1  # a target: the bytes are only read
_SMALL_BYTES = 128 * 1024  # read and written in one piece
_PIECE_BYTES = 1 << 30
_NO_RANGE = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY)


def copy_bytes(source: int, target: int, expected: int) -> int:
    """Everything from where `source` stands, into `target`; how many bytes that was. `expected` chooses the way."""
    if expected > _SMALL_BYTES and (copied := _copied(source, target)):
        return copied
    total = 0
    while data := os.read(source, _SMALL_BYTES):
        _write(target, data)
        total += len(data)
        if total == expected and len(data) < _SMALL_BYTES:
            break  # a read that gave less than asked ended at the end
    return total


def copy_summed(source: int, target: int, expected: int) -> tuple[int, str]:
    """The same, and the digest of the bytes. `target` is open for reading, too."""
    if expected > _SMALL_BYTES and _copied(source, target):
        source, target = target, NOWHERE
        os.lseek(source, 0, os.SEEK_SET)
    data = os.read(source, _SMALL_BYTES)
    summed, total = running(data, expected_bytes=expected), len(data)
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
    if target != NOWHERE and expected > _SMALL_BYTES and _copied(source, target):
        source, target = target, NOWHERE
        os.lseek(source, 0, os.SEEK_SET)
    outlet.begin(expected)
    summed = None if digest else running(expected_bytes=expected)
    total = 0
    while True:
        room = outlet.room()
        count = os.readv(source, (room,))
        if summed is not None:
            summed.update(room[:count])
        _write(target, room[:count])
        outlet.put(count)
        total += count
        if not count or (total == expected and count < len(room)):
            break
    return total, digest if summed is None else "sha256:" + summed.hexdigest()


def _copied(source: int, target: int) -> int:
    """How many bytes the kernel copied: all that there are, or 0 where it does not do that for these two."""
    total = 0
    try:
        while done := os.copy_file_range(source, target, _PIECE_BYTES):
            total += done
    except OSError as error:
        if error.errno not in _NO_RANGE or total:
            raise
    return total


def _write(target: int, data: bytes | memoryview) -> None:
    if target == NOWHERE:
        return
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
