"""The tree as it will be: what a step has placed so far, laid over the tree that it began with."""

from __future__ import annotations

import stat

import msgspec

from jettison.base.errors import InputError
from jettison.tree.row import DELETED, DIR, Row, order
from jettison.tree.view import View

NOWHERE = -1  # a placement without bytes from elsewhere
ARCHIVE = -2  # the bytes were extracted: `source` is a path of this machine, and the file may be moved away


class Placement(msgspec.Struct, frozen=True, gc=False):
    """One path that a step puts: its row, and where a file's bytes come from.

    `input` numbers the step's input that `source` is a path of, or is NOWHERE or ARCHIVE; `data` are a heredoc's bytes.
    `same`: owner, mode, attributes and time are the source's own, so that the file itself may be linked or moved here.
    """

    row: Row
    input: int = NOWHERE
    source: str = ""
    data: bytes | None = None
    same: bool = False


class Sheet:
    """Placements over a base. Paths are resolved already: no symlink stands in a parent."""

    def __init__(self, base: View) -> None:
        self._base = base
        self._placed: dict[str, Placement] = {}
        self._fresh: set[str] = set()  # directories of ours where the base has nothing
        self._hiding: set[str] = set()  # placed paths below which the base's directory no longer shows

    def row(self, path: str) -> Row | None:
        """What stands at `path` now, no symlink followed."""
        placed = self._placed.get(path)
        if placed is not None:
            return placed.row
        if path.rpartition("/")[0] in self._fresh or (self._hiding and self._is_hidden(path)):
            return None
        return self._base.row(path)

    def put(self, placement: Placement) -> None:
        """Place one row, in place of whatever is there. A directory is kept with what is below it, by a directory."""
        row, path = placement.row, placement.row.path
        old = self.row(path)
        if old is None:
            if row.type == DIR and path not in self._hiding:
                self._fresh.add(path)
        elif old.type == DIR and row.type != DIR:
            self._clear(path)
        self._placed[path] = placement

    def make_directories(self, path: str, mode: int, owner: tuple[int, int] | None, mtime_ns: int) -> bool:
        """Make the directory `path` and its missing parents; whether any was missing. Raises InputError for a file.

        They are root's where no owner is given. What a setgid directory passes on is passed on, as by the kernel.
        """
        parts = path.split("/") if path else []
        above = self.row("")
        made = False
        for length in range(1, len(parts) + 1):
            here = "/".join(parts[:length])
            row = self.row(here)
            if row is None:
                row = _made_below(above, here, mode, owner, mtime_ns)
                self.put(Placement(row))
                made = True
            elif row.type != DIR:
                raise InputError(f"mkdir /{here}: not a directory", hint="a file stands where a directory is needed")
            above = row
        return made

    def placements(self) -> list[Placement]:
        """All of them in `tree.row.order`, hard-link groups named by their first path, and what a directory that took
        the place of another no longer shows as DELETED rows.
        """
        self._bury()
        ordered = sorted(self._placed.values(), key=lambda placement: order(placement.row.path))
        groups: dict[str, list[str]] = {}
        for placement in ordered:
            if placement.row.link:
                groups.setdefault(placement.row.link, []).append(placement.row.path)
        if not groups:
            return ordered
        return [_grouped(placement, groups) if placement.row.link else placement for placement in ordered]

    def _bury(self) -> None:
        todo = [path for path in self._hiding if path in self._placed]
        while todo:
            path = todo.pop()
            if self._placed[path].row.type != DIR:
                continue
            for row in self._base.entries(path):
                if row.path not in self._placed:
                    self._placed[row.path] = Placement(Row(row.path, DELETED))
                elif row.type == DIR:
                    todo.append(row.path)

    def _is_hidden(self, path: str) -> bool:
        parts = path.split("/")
        return any("/".join(parts[:length]) in self._hiding for length in range(1, len(parts)))

    def _clear(self, path: str) -> None:
        """A directory makes way for a file (only archives do that)."""
        below = path + "/"
        for gone in [placed for placed in self._placed if placed.startswith(below)]:
            del self._placed[gone]
            self._fresh.discard(gone)
        if path not in self._fresh:
            self._hiding.add(path)


def _made_below(above: Row | None, path: str, mode: int, owner: tuple[int, int] | None, mtime_ns: int) -> Row:
    """A new directory. Below a setgid one it is setgid, too, and of the same group unless it is given away."""
    passed = above.mode & stat.S_ISGID if above is not None else 0
    uid, gid = owner or (0, above.gid if above is not None and passed else 0)
    return Row(path, DIR, mode | passed, uid, gid, mtime_ns=mtime_ns)


def _grouped(placement: Placement, groups: dict[str, list[str]]) -> Placement:
    members = groups[placement.row.link]
    link = members[0] if len(members) > 1 else ""
    return msgspec.structs.replace(placement, row=msgspec.structs.replace(placement.row, link=link))
