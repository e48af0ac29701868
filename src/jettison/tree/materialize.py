"""Placements become a snapshot: its files/, which is a valid overlay lower directory, and its rows. Reference §1.6.

Directories are made first, then files (by several processes when there are many), then hard links; directories get
their owner, mode and time last, the deepest first. Bytes are linked from another snapshot where everything about the
file is equal, else copied; never linked from a context, nor twice from one file (mechanisms: a snapshot). A context's
file that was not touched since an earlier copy is linked from what that left.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

import msgspec

from jettison.base.digest import EMPTY_SHA256, digest_of
from jettison.base.errors import HostError
from jettison.tree.conveyor import Outlet
from jettison.tree.copying import NOWHERE, copy_bytes, copy_summed, copy_through
from jettison.tree.directory import DirectoryView
from jettison.tree.disk import Disk
from jettison.tree.earlier import Earlier
from jettison.tree.row import DIR, FILE, Row, order, with_digest
from jettison.tree.sheet import ARCHIVE, Placement
from jettison.tree.stamp import Stamp, stamp_of
from jettison.tree.tape import Came, Tape, make_files
from jettison.tree.view import ROOT, Lookup, View

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OURS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINK = (errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)


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
    tape: Tape | None = None,
) -> Written:
    """Write `placements` (in `tree.row.order`) into the empty directory `files`; `tape` is told of it all meanwhile.

    Ancestors that `base` has and nobody placed become `implied` rows. `inputs` are the views by the number that
    placements use. `workers` processes share the files. `earlier` is what an earlier copy from the same directory left.
    Raises HostError and InputError; OSError for the disk.
    """
    rows = _with_ancestors(placements, base)
    directories = [row for row in rows if row.type == DIR]
    for row in directories:
        if row.path:
            os.mkdir(f"{files}/{row.path}", 0o700)
    firsts = [placement for placement in placements if _carries_bytes(placement.row)]
    places = [place for place, row in enumerate(rows) if _carries_bytes(row)]
    taken: list[Taken] = []

    def made(number: int, came: Came) -> None:
        """A file is there, with what it came to have: a context may change."""
        row = rows[places[number]] = with_digest(firsts[number].row, came.digest, came.size_bytes)
        if came.stamp is not None:
            taken.append(Taken(firsts[number].source, came.stamp, row))

    writer = _Writer(inputs, files, disk, _linkable(firsts, inputs), earlier, taped=tape is not None)
    make_files(writer.write, firsts, [rows[place] for place in places], rows, made, tape=tape, workers=workers)
    _finish_others(rows, files, disk)
    for row in reversed(directories):
        disk.finish_path(f"{files}/{row.path}" if row.path else files, row)
    return Written(rows, taken)


def _with_ancestors(placements: Sequence[Placement], base: Lookup) -> list[Row]:
    """The rows that are placed, and of ancestors that nobody placed, as the base has them; in `tree.row.order`."""
    placed = {placement.row.path for placement in placements}
    found: dict[str, Row] = {}
    for placement in placements:
        here = placement.row.path
        while here:
            here = here.rpartition("/")[0]
            if here in placed or here in found:
                break
            row = base.row(here) or ROOT
            found[here] = msgspec.structs.replace(row, path=here, implied=True, opaque=False, link="", digest="")
    return sorted((*found.values(), *(placement.row for placement in placements)), key=lambda row: order(row.path))


def _carries_bytes(row: Row) -> bool:
    """Whether it is a file, and of one with several names the first."""
    return row.type == FILE and row.link in ("", row.path)


def _finish_others(rows: list[Row], files: str, disk: Disk) -> None:
    """What is neither directory nor a file with bytes of its own: links to such, in `rows`, too, and the rest."""
    firsts: dict[str, Row] = {}
    for place, row in enumerate(rows):
        if row.type == FILE:
            first = firsts.setdefault(row.link, row) if row.link else row
            if first is not row:
                os.link(f"{files}/{row.link}", f"{files}/{row.path}", follow_symlinks=False)
                rows[place] = with_digest(row, first.digest, first.size)
        elif row.type != DIR:
            disk.create(f"{files}/{row.path}", row)


def _linkable(placements: list[Placement], inputs: Mapping[int, View]) -> set[str]:
    """The paths whose file may be linked from another snapshot: no two of them have the same inode. All snapshots lie
    on one filesystem.
    """
    found: set[str] = set()
    seen: set[int] = set()
    for placement in placements:
        view = inputs.get(placement.input)
        if view is None or not placement.same or not view.linkable:
            continue
        try:
            status = os.lstat(view.where(placement.source))
        except OSError:
            continue  # it is told when it is read
        if status.st_ino not in seen and status.st_size == placement.row.size:
            seen.add(status.st_ino)
            found.add(placement.row.path)
    return found


class _Writer:
    """Writes one file at a time below the directory `files`; `linkable` has the paths that `_linkable` found. With
    `taped` the bytes of all of them go past an outlet, of those that are linked, too.
    """

    def __init__(
        self,
        inputs: Mapping[int, View],
        files: str,
        disk: Disk,
        linkable: set[str],
        earlier: Earlier | None,
        *,
        taped: bool,
    ) -> None:
        self._inputs = inputs
        self._files = files
        self._disk = disk
        self._linkable = linkable
        self._earlier = earlier
        self._taped = taped

    def write(self, placement: Placement, outlet: Outlet) -> Came:
        """One file."""
        row, at = placement.row, f"{self._files}/{placement.row.path}"
        if placement.input == ARCHIVE:
            os.rename(placement.source, at)
            came = self._read(at, row, "", outlet)
            if not placement.same:
                self._disk.finish_path(at, row)
            return came
        view = self._inputs.get(placement.input)
        if view is not None and row.path in self._linkable and _link(view.where(placement.source), at):
            return self._read(at, row, row.digest, outlet)
        if isinstance(view, DirectoryView) and self._earlier is not None:
            same = self._earlier.same(row, view.where(placement.source))
            if same is not None and _link(same[0], at):
                return self._read(at, row, same[1].digest, outlet)._replace(stamp=same[1].stamp)
        return self._copy(placement, view, at, outlet)

    def _read(self, at: str, row: Row, digest: str, outlet: Outlet) -> Came:
        """A file that is there already; it is read where that tells anybody anything."""
        if not row.size or (digest and not self._taped):
            return Came(row.size, digest or EMPTY_SHA256)
        fd = os.open(at, _OURS)
        try:
            return Came(*copy_through(fd, NOWHERE, row.size, outlet, digest))
        finally:
            os.close(fd)

    def _copy(self, placement: Placement, view: View | None, at: str, outlet: Outlet) -> Came:
        row = placement.row
        target = os.open(at, _NEW, 0o600)
        try:
            if placement.data is not None:
                came = _write(target, placement.data, outlet)
            elif view is not None and row.size:
                came = self._copy_from(view, placement, target, outlet)
            else:
                came = Came(row.size, row.digest)
            self._disk.finish(target, row)
        finally:
            os.close(target)
        return came

    def _copy_from(self, view: View, placement: Placement, target: int, outlet: Outlet) -> Came:
        row = placement.row
        source = view.open(placement.source)
        try:
            stamp = stamp_of(os.fstat(source)) if isinstance(view, DirectoryView) else None
            if self._taped:
                size, digest = copy_through(source, target, row.size, outlet, row.digest)
            elif row.digest:
                size, digest = copy_bytes(source, target, row.size), row.digest
            else:
                size, digest = copy_summed(source, target, row.size)
        finally:
            os.close(source)
        if view.linkable and size != row.size:
            raise HostError(
                f"a snapshot is damaged: /{placement.source} has {size} bytes and should have {row.size}",
                hint="remove its directory from the store's snapshots, and build again",
            )
        return Came(size, digest, stamp)


def _link(source: str, at: str) -> bool:
    try:
        os.link(source, at, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


def _write(target: int, data: bytes, outlet: Outlet) -> Came:
    """Bytes of the Dockerfile's own."""
    outlet.begin(len(data))
    left = memoryview(data)
    while left:
        room = outlet.room()
        count = os.write(target, left[: len(room)])
        room[:count] = left[:count]
        outlet.put(count)
        left = left[count:]
    return Came(len(data), digest_of(data))
