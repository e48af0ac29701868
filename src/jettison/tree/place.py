"""COPY, ADD and WORKDIR as values: what an op puts where, rule by rule (reference §1.6, §1.7, §1.9). Nothing is
written, but for archives, which are extracted aside to know what they hold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import msgspec

from jettison.base.errors import InputError
from jettison.planning.ops import CopyOp, CopySource, InlineFile, MkdirOp
from jettison.tree.chmod import octal_mode, parse_chmod
from jettison.tree.copy_rules import Filter, Match, check_kept, filter_of, matches, pivots, walk
from jettison.tree.passwd import chown_ids
from jettison.tree.row import DIR, FILE, SYMLINK, Row
from jettison.tree.sheet import ARCHIVE, NOWHERE, Placement, Sheet
from jettison.tree.view import StackView, View, resolve

DIRECTORY_MODE = 0o755

Below = Callable[[str], Row | None]
Unarchive = Callable[[int, str, Below], list[Row] | None]
"""Extracts an archive: (descriptor of the file, empty directory that gets it, what the tree holds where it goes, by
path from there). Returns its rows, with paths from there, or None when the file is no archive by content and nothing
was done. Bytes lie below the directory under the rows' paths; directories that it takes for granted are `implied`."""


def place_directory(op: MkdirOp, base: View, now_ns: int) -> list[Placement]:
    """WORKDIR: the directory and its missing parents, 0755, of the current USER (reference §1.9); [] when all exist."""
    sheet = Sheet(base)
    owner = chown_ids(base, op.user) if op.user else None
    sheet.make_directories(resolve(sheet, op.path), DIRECTORY_MODE, owner, now_ns)
    return sheet.placements()


def place_copy(
    op: CopyOp, base: View, inputs: Sequence[View], *, now_ns: int, unarchive: Unarchive, scratch: str
) -> list[Placement]:
    """COPY or ADD onto `base`, in `tree.row.order`. `inputs[0]` is the op's input number 1.

    `now_ns` is the time of the directories that it makes by itself; `scratch`, which need not exist, is where archives
    are extracted. [] when nothing is to be done. Raises InputError in the reference's words.
    """
    placing = _Placing(op, StackView(()) if op.stands_alone else base, now_ns, unarchive, scratch)
    for source in op.sources:
        if source.inline is not None:
            placing.put_inline(source.inline)
        else:
            number = source.input or 0
            placing.put_source(number, inputs[number - 1], source)
    return placing.sheet.placements()


class _Placing:
    """One op in the making: its flags understood, and the tree as it has become."""

    def __init__(self, op: CopyOp, base: View, now_ns: int, unarchive: Unarchive, scratch: str) -> None:
        self.op = op
        self.sheet = Sheet(base)
        self._now_ns = now_ns
        self._unarchive = unarchive
        self._scratch = scratch
        self._owner = chown_ids(base, op.chown) if op.chown else None
        self._chmod = parse_chmod(op.chmod) if op.chmod else None
        octal = octal_mode(op.chmod) if op.chmod else None
        self._made_mode = DIRECTORY_MODE if octal is None else octal & 0o777
        self._copies = 0  # hard links are kept within one of them
        self._archives = 0

    def put_inline(self, file: InlineFile) -> None:
        """A heredoc: a file of that name."""
        data = file.data.encode("utf-8", "surrogateescape")
        row = Row(file.name, FILE, 0o644, size=len(data))
        at = self._target(file.name, is_dir=False)
        self._put_file(row, at, Placement(row, data=data))

    def put_source(self, number: int, view: View, source: CopySource) -> None:
        """All that one source names."""
        chosen = filter_of(self.op, source)
        for match in pivots(view, source) if self.op.parents else matches(view, source):
            self._copies += 1
            if self.op.parents:
                check_kept(view, source, match)
            if source.unpack is not False and match.row.type == FILE and self._extract(view, match):
                continue
            self._copy(number, view, match, chosen)

    def _copy(self, number: int, view: View, match: Match, chosen: Filter) -> None:
        is_dir = match.row.type == DIR
        top = self._target(match.name.rpartition("/")[2], is_dir=is_dir, mtime_ns=match.row.mtime_ns)
        if not is_dir:
            self._put_file(match.row, top, self._from(number, match.row))
            return
        if _is_not_directory(self.sheet.row(top)):
            raise InputError(f"cannot copy to non-directory: /{top}", hint="remove it first, or copy elsewhere")
        prefix = f"{top}/" if top else ""
        for found in walk(view, match.row.path, chosen):
            at = prefix + found.below
            if found.row.type == DIR:
                self._put_directory(found.row, at, bridge=found.bridge)
            else:
                self._put_file(found.row, at, self._from(number, found.row), view)

    def _target(self, name: str, *, is_dir: bool, mtime_ns: int | None = None) -> str:
        """Where a source goes, symlinks of the destination resolved, its missing parents made.

        A directory goes to the destination itself (its contents are copied); a file, too, unless that is a directory.
        """
        dest = self.op.dest
        self._make(resolve(self.sheet, dest if self.op.dest_is_dir else dest.rpartition("/")[0]), self._now_ns)
        at = resolve(self.sheet, dest)
        there = self.sheet.row(at)
        if is_dir and there is None:
            # The new directory gets the source's time, and nothing else of it.
            self._make(at.rpartition("/")[0], self._now_ns)
            self._make(at, self._now_ns if mtime_ns is None else mtime_ns)
            return at
        if not is_dir and there is not None and there.type == DIR:
            at = f"{at}/{name}" if at else name
        self._make(at.rpartition("/")[0], self._now_ns)
        return at

    def _make(self, path: str, mtime_ns: int) -> None:
        self.sheet.make_directories(path, self._made_mode, self._owner, mtime_ns)

    def _from(self, number: int, row: Row) -> Placement:
        return Placement(row, number, row.path) if row.type == FILE else Placement(row)

    def _put_directory(self, row: Row, at: str, *, bridge: bool) -> None:
        there = self.sheet.row(at)
        if _is_not_directory(there):
            raise InputError(f"cannot copy to non-directory: /{at}", hint="remove it first, or copy elsewhere")
        if bridge and there is not None:
            made = msgspec.structs.replace(there, mode=row.mode, opaque=False, link="")
        else:
            made = self._moved(row, at)
        if there is None or not _is_alike(there, made):
            self.sheet.put(Placement(made))

    def _put_file(self, row: Row, at: str, placement: Placement, view: View | None = None) -> None:
        there = self.sheet.row(at)
        if there is not None and there.type == DIR:
            raise InputError(
                f"cannot replace to directory /{at} with file", hint="remove the directory first, or copy elsewhere"
            )
        link = view.link_of(row) if view is not None and row.link and row.type == FILE else ""
        made = self._moved(row, at, f"{self._copies}:{link}" if link else "")
        same = made.mode == row.mode and made.uid == row.uid and made.gid == row.gid
        self.sheet.put(msgspec.structs.replace(placement, row=made, same=same))

    def _moved(self, row: Row, at: str, link: str = "") -> Row:
        """A row of an input as it becomes one of the tree."""
        mode = row.mode
        if self._chmod is not None and row.type != SYMLINK:
            mode = self._chmod(mode, row.type == DIR)
        uid, gid = self._owner or (row.uid, row.gid)
        return Row(
            at,
            row.type,
            mode,
            uid,
            gid,
            row.size,
            row.mtime_ns,
            row.target,
            row.device,
            row.xattrs,
            link,
            digest=row.digest,
        )

    def _extract(self, view: View, match: Match) -> bool:
        """Unpack an archive into the destination, always a directory; False when it is none (reference §1.7)."""
        at = resolve(self.sheet, self.op.dest)
        self._archives += 1
        aside = f"{self._scratch}/{self._archives}"
        os.makedirs(aside, 0o700)
        prefix = f"{at}/" if at else ""
        fd = view.open(match.row.path)
        try:
            rows = self._unarchive(fd, aside, lambda path: _only_directory(self.sheet.row(prefix + path)))
        finally:
            os.close(fd)
        if rows is None:
            return False
        self.sheet.make_directories(at, DIRECTORY_MODE, self._owner, self._now_ns)
        self._put_archive(rows, at, aside)
        return True

    def _put_archive(self, rows: list[Row], at: str, aside: str) -> None:
        """Members keep owner and mode, but for --chown; a directory that is only implied is left as it is."""
        places = {"": at}
        for row in rows:
            if not row.path:
                continue
            parent, _, name = row.path.rpartition("/")
            place = f"{places[parent]}/{name}" if places[parent] else name
            if row.type == DIR:
                places[row.path] = place
            if row.implied:
                places[row.path] = place = resolve(self.sheet, place)
                self.sheet.make_directories(place, DIRECTORY_MODE, self._owner or (0, 0), self._now_ns)
                continue
            uid, gid = self._owner or (row.uid, row.gid)
            link = f"archive {self._archives}:{row.link}" if row.link and row.type == FILE else ""
            made = msgspec.structs.replace(row, path=place, uid=uid, gid=gid, link=link, opaque=False)
            is_file = row.type == FILE
            self.sheet.put(
                Placement(
                    made,
                    ARCHIVE if is_file else NOWHERE,
                    f"{aside}/{row.path}" if is_file else "",
                    same=self._owner is None,
                )
            )


def _is_not_directory(row: Row | None) -> bool:
    return row is not None and row.type != DIR


def _is_alike(there: Row, made: Row) -> bool:
    """Whether two rows of a directory say the same of it. The time alone is no change, as for a RUN: whether a layer
    has the directory would hang on the clocks of earlier steps.
    """
    return (there.mode, there.uid, there.gid, there.xattrs) == (made.mode, made.uid, made.gid, made.xattrs)


def _only_directory(row: Row | None) -> Row | None:
    return row if row is not None and row.type == DIR else None
