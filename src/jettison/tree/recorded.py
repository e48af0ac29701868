"""A live directory as one copy of it saw it: what the digest of exactly that is made of, whatever became of it since.

A copy and a digest ask a view the same questions. So a digest that is asked afterwards, of the answers that the copy
got, and of the bytes that it took, reads no file again, and describes nothing but what was copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from jettison.base.digest import digest_of
from jettison.planning.ops import CopyOp
from jettison.tree.content import with_xattrs
from jettison.tree.copy_rules import check_kept, matches, pivots
from jettison.tree.directory import DirectoryView
from jettison.tree.row import DIR, FILE, Row, with_digest
from jettison.tree.stamp import Stamp, is_settled
from jettison.tree.view import View

if TYPE_CHECKING:
    from jettison.tree.materialize import Taken


class RecordedView(DirectoryView):
    """A DirectoryView whose every answer stays the one that it gave first; and, once told, with files' digests."""

    def __init__(self, root: str, ignore_patterns: Iterable[str] = (), *, as_owner: bool = False) -> None:
        super().__init__(root, ignore_patterns, as_owner=as_owner)
        self._rows: dict[str, Row | None] = {}
        self._entries: dict[str, list[Row]] = {}
        self._children: dict[str, list[str]] = {}
        self._taken: dict[str, Taken] = {}
        self._links: dict[str, Taken] = {}

    def row(self, path: str) -> Row | None:
        """See `View`."""
        if path not in self._rows:
            self._rows[path] = super().row(path)
        row = self._rows[path]
        return None if row is None else self._with_digest(row)

    def entries(self, path: str) -> list[Row]:
        """See `View`."""
        if path not in self._entries:
            self._entries[path] = super().entries(path)
        rows = self._entries[path]
        return [self._with_digest(row) for row in rows] if self._taken else rows

    def children(self, path: str) -> list[str]:
        """See `View`."""
        if path not in self._children:
            self._children[path] = super().children(path)
        return self._children[path]

    def tell(self, taken: Iterable[Taken]) -> None:
        """What was taken of the files: from now on rows have the digest and the size of just those bytes."""
        for each in taken:
            self._taken[each.source] = _both(self._taken.get(each.source), each)
        linked = (row for row in self._seen() if row.link and row.path in self._taken)
        self._links = {row.link: self._taken[row.path] for row in linked}

    def settled(self, began_ns: int) -> Iterator[tuple[str, Stamp, str]]:
        """Path, stamp and digest (`tree.content.DigestIndex`) of the files that were taken since `began_ns`, but for
        those that changed so lately that their stamp may stay when they change again.
        """
        for row in self._seen():
            taken = self._of(row)
            if taken is not None and is_settled(taken.stamp, began_ns):
                yield row.path, taken.stamp, with_xattrs(taken.row.digest, row.xattrs)

    def may_have_changed(self, since_ns: int) -> bool:
        """Whether something that was taken may be another than it was at that time. Of directories, which name what is
        in them, only the time of their last change is known.
        """
        return any(not is_settled(each.stamp, since_ns) for each in self._taken.values()) or any(
            not is_settled((0, row.mtime_ns, row.mtime_ns, 0, 0), since_ns) for row in self._seen() if row.type == DIR
        )

    def _seen(self) -> Iterator[Row]:
        for row in self._rows.values():
            if row is not None:
                yield row
        for rows in self._entries.values():
            yield from rows

    def _with_digest(self, row: Row) -> Row:
        taken = self._of(row)
        return row if taken is None else with_digest(row, taken.row.digest, taken.row.size)

    def _of(self, row: Row) -> Taken | None:
        """What was taken as that row; of several hard links, as one of them."""
        return self._taken.get(row.path) or (self._links.get(row.link) if row.link else None)


def is_copied(op: CopyOp, number: int, view: View) -> bool:
    """Whether everything that the op takes of its input number `number` is copied as it is: no file of it can be an
    archive, to be unpacked. Raises InputError for a missing path.
    """
    whole = True
    for source in op.sources:
        if source.input != number or source.inline is not None:
            continue
        for match in pivots(view, source) if op.parents else matches(view, source):
            if op.parents:
                check_kept(view, source, match)
            whole = whole and (source.unpack is False or match.row.type != FILE)
    return whole


def _both(first: Taken | None, second: Taken) -> Taken:
    """A file that was taken twice. If it changed in between, no digest of any file is that of what was taken."""
    if first is None or first.row.digest == second.row.digest:
        return second
    both = digest_of(f"{first.row.digest} {second.row.digest}".encode())
    return msgspec.structs.replace(second, row=with_digest(second.row, both))
