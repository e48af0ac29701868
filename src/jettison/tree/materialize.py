"""Placements become a snapshot: its files/, which is a valid overlay lower directory, and its rows. Reference §1.6.

Directories are made first, then files (by several processes when there are many), then hard links; directories get
their owner, mode and time last, the deepest first. Bytes are linked from another snapshot where everything about the
file is equal, else copied; never linked from a context, nor twice from one file (mechanisms: a snapshot). A context's
file that was not touched since an earlier copy is linked from what that left.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from jettison.base.digest import digest_of
from jettison.base.errors import HostError
from jettison.tree.digests import hash_paths
from jettison.tree.directory import DirectoryView
from jettison.tree.disk import Disk
from jettison.tree.earlier import Earlier
from jettison.tree.fork import in_processes
from jettison.tree.row import DIR, FILE, Row, with_digest
from jettison.tree.sheet import ARCHIVE, Placement
from jettison.tree.stamp import Stamp, stamp_of
from jettison.tree.view import ROOT, Lookup, View

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL_BYTES = 128 * 1024  # read and written in one piece
_PIECE_BYTES = 1 << 30
_CHUNK_FILES = 500  # fewer are not worth another process
_NO_LINK = (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)
_Came = tuple[int, str, Stamp | None]  # bytes, digest, source
_NO_RANGE = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A file that was copied from a directory of the user's: its path there, how it looked, and the row it became."""

    source: str
    stamp: Stamp
    row: Row


class Written(msgspec.Struct, frozen=True):
    """The rows of a manifest, and which of their files were copied from the user's directories."""

    rows: list[Row]
    taken: list[Taken]


def materialize(
    placements: Sequence[Placement],
    base: Lookup,
    inputs: Mapping[int, View],
    files: str,
    disk: Disk,
    *,
    workers: int = 1,
    earlier: Earlier | None = None,
) -> Written:
    """Write `placements` (in `tree.row.order`) into the empty directory `files`.

    Ancestors that `base` has and nobody placed become `implied` rows. `inputs` are the views by the number that
    placements use. `workers` processes share the files. `earlier` is what an earlier copy from the same directory left.
    Raises HostError and InputError; OSError for the disk.
    """
    placed = {placement.row.path: placement for placement in placements}
    implied = _implied(placed, base)
    rows = {path: placement.row for path, placement in placed.items()} | implied
    directories = sorted((row for row in rows.values() if row.type == DIR), key=lambda row: row.path)
    for row in directories:
        if row.path:
            os.mkdir(f"{files}/{row.path}", 0o700)
    firsts, links, others = _sorted_out(placements)
    taken = []
    writer = _Writer(inputs, files, disk, _linkable(firsts, inputs), earlier)
    for placement, row, stamp in _write_files(firsts, writer, workers):
        rows[row.path] = row
        if stamp is not None:
            taken.append(Taken(placement.source, stamp, row))
    for row in links:
        os.link(f"{files}/{row.link}", f"{files}/{row.path}", follow_symlinks=False)
        rows[row.path] = with_digest(row, rows[row.link].digest, rows[row.link].size)
    for row in others:
        disk.create(f"{files}/{row.path}", row)
    for row in reversed(directories):
        disk.finish_path(f"{files}/{row.path}" if row.path else files, row)
    return Written(list(rows.values()), taken)


def _implied(placed: Mapping[str, Placement], base: Lookup) -> dict[str, Row]:
    """The rows of ancestors that nobody placed, as the base has them."""
    found: dict[str, Row] = {}
    for path in placed:
        here = path
        while here:
            here = here.rpartition("/")[0]
            if here in placed or here in found:
                break
            row = base.row(here) or ROOT
            found[here] = msgspec.structs.replace(row, path=here, implied=True, opaque=False, link="", digest="")
    return found


def _sorted_out(placements: Sequence[Placement]) -> tuple[list[Placement], list[Row], list[Row]]:
    """The files that carry bytes, those that are links to such, and what is neither file nor directory."""
    firsts: list[Placement] = []
    links: list[Row] = []
    others: list[Row] = []
    for placement in placements:
        row = placement.row
        if row.type == FILE:
            if row.link in ("", row.path):
                firsts.append(placement)
            else:
                links.append(row)
        elif row.type != DIR:
            others.append(row)
    return firsts, links, others


def _write_files(
    placements: list[Placement], writer: _Writer, workers: int
) -> Iterator[tuple[Placement, Row, Stamp | None]]:
    """Write every file; their rows, with the digests and sizes that they came to have (a context may change)."""

    def write(chunk: Sequence[Placement]) -> list[_Came]:
        return [writer.write(placement) for placement in chunk]

    written = in_processes(write, placements, min(workers, len(placements) // _CHUNK_FILES))
    for placement, (size, digest, stamp) in zip(placements, written, strict=True):
        yield placement, with_digest(placement.row, digest, size), stamp


def _linkable(placements: list[Placement], inputs: Mapping[int, View]) -> set[str]:
    """The paths whose file may be linked from another snapshot: no two of them have the same inode."""
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    for placement in placements:
        view = inputs.get(placement.input)
        if view is None or not placement.same or not view.linkable:
            continue
        try:
            status = os.lstat(view.where(placement.source))
        except OSError:
            continue  # it is told when it is read
        key = (status.st_dev, status.st_ino)
        if key not in seen and status.st_size == placement.row.size:
            seen.add(key)
            found.add(placement.row.path)
    return found


class _Writer:
    """Writes one file at a time below the directory `files`; `linkable` has the paths that `_linkable` found."""

    def __init__(
        self, inputs: Mapping[int, View], files: str, disk: Disk, linkable: set[str], earlier: Earlier | None
    ) -> None:
        self._inputs = inputs
        self._files = files
        self._disk = disk
        self._linkable = linkable
        self._earlier = earlier

    def write(self, placement: Placement) -> _Came:
        """One file: how many bytes it has, their digest, and the stamp of a source that is the user's."""
        row, at = placement.row, f"{self._files}/{placement.row.path}"
        if placement.input == ARCHIVE:
            os.rename(placement.source, at)
            if not placement.same:
                self._disk.finish_path(at, row)
            return row.size, hash_paths((at,))[0], None
        view = self._inputs.get(placement.input)
        if view is not None and row.path in self._linkable and _link(view.where(placement.source), at):
            return row.size, row.digest or hash_paths((at,))[0], None
        if isinstance(view, DirectoryView) and self._earlier is not None:
            same = self._earlier.same(row, view.where(placement.source))
            if same is not None and _link(same[0], at):
                return row.size, same[1].digest, same[1].stamp
        return self._copy(placement, view, at)

    def _copy(self, placement: Placement, view: View | None, at: str) -> _Came:
        row, stamp = placement.row, None
        target = os.open(at, _NEW, 0o600)
        try:
            size, digest = row.size, row.digest
            if placement.data is not None:
                _write(target, placement.data)
                digest = digest_of(placement.data)
            elif view is not None and row.size:
                size, digest, stamp = _copy_from(view, placement, target)
            self._disk.finish(target, row)
        finally:
            os.close(target)
        return size, digest, stamp


def _link(source: str, at: str) -> bool:
    try:
        os.link(source, at, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def _copy_from(view: View, placement: Placement, target: int) -> _Came:
    digest = placement.row.digest
    source = view.open(placement.source)
    try:
        stamp = stamp_of(os.fstat(source)) if isinstance(view, DirectoryView) else None
        if digest:
            size = copy_bytes(source, target, placement.row.size)
        else:
            size, digest = copy_summed(source, target, placement.row.size)
    finally:
        os.close(source)
    if view.linkable and size != placement.row.size:
        raise HostError(
            f"a snapshot is damaged: /{placement.source} has {size} bytes and should have {placement.row.size}",
            hint="remove its directory from the store's snapshots, and build again",
        )
    return size, digest, stamp


def copy_summed(source: int, target: int, expected: int) -> tuple[int, str]:
    """Everything from where `source` stands, into `target`: how many bytes that was, and their digest."""
    data = os.read(source, _SMALL_BYTES)
    summed, total = hashlib.sha256(data), len(data)
    _write(target, data)
    while total != expected or len(data) == _SMALL_BYTES:  # a read that gave less than asked ended at the end
        data = os.read(source, _SMALL_BYTES)
        if not data:
            break
        summed.update(data)
        _write(target, data)
        total += len(data)
    return total, "sha256:" + summed.hexdigest()


def copy_bytes(source: int, target: int, expected: int) -> int:
    """Everything from where `source` stands, into `target`; how many bytes that was. `expected` chooses the way."""
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


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
