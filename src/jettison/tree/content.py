"""Content digests: of just what an op reads of one input, and of a whole snapshot; mtime left out (design: two keys).

In a build that has nothing to do this runs in the driver over a whole context: files whose stamps are known are not
opened, and little is done for each.
"""

from __future__ import annotations

import itertools
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from jettison.base.digest import EMPTY_SHA256, digest_of, running
from jettison.planning.ops import AnyOp, BindMount, CacheMount, CopyOp, RunOp
from jettison.record.model import KeyPart
from jettison.tree.copy_rules import (
    Child,
    Filter,
    Match,
    check_kept,
    filter_of,
    followed,
    matches,
    pivots,
    walk,
    walk_children,
)
from jettison.tree.digests import LARGE_BYTES, SnapshotDigests, hash_file, hash_files
from jettison.tree.directory import DirectoryView
from jettison.tree.manifest import read_rows
from jettison.tree.row import DIR, FILE, Row, with_digest
from jettison.tree.stamp import Stamp, is_settled, stamp_of
from jettison.tree.view import StackView, View

MAX_PARTS = 400
_LINES_AT_ONCE = 4096
_EVERYTHING = Filter(None, ())
_FORMAT, _REGULAR = 0o170000, stat.S_IFREG


class DigestIndex(Protocol):
    """Digests of files by their stamps, for one directory. They cover attributes, too: opaque text."""

    def get(self, path: str, stamp: Stamp) -> str | None:
        """The digest that the file at `path` had with exactly that stamp, or None."""

    def put(self, path: str, stamp: Stamp, digest: str) -> None:
        """Remember it."""


class ContentDigest(msgspec.Struct, frozen=True):
    """The digest, and what it is made of in at most MAX_PARTS pieces, a file or directory each, to compare by name."""

    digest: str
    parts: tuple[KeyPart, ...]


class _Line(msgspec.Struct, gc=False):
    """One path: where to show it, and its fields, each ended by a NUL, which no name holds. Always the same number of
    them, the digest of the content last.
    """

    shown: str
    fields: str
    digest: str = ""


def input_digest(
    op: AnyOp, number: int, view: View, index: DigestIndex | None = None, *, now_ns: int | None = None
) -> ContentDigest:
    """Of what `op` reads of its input number `number`, which is `view`: names, modes, owners, sizes, types, links,
    devices, attributes, bytes. `index` spares reading files of a DirectoryView; `now_ns` is the moment of the
    scan, after which a file may still change under the same stamp. Raises InputError for a missing path.
    """
    reader = _reader(view, index, now_ns)
    lines: list[_Line] = []
    for match, chosen, whole in _read_by(op, number, view):
        lines += reader.lines(match, chosen, whole=whole)
    reader.finish()
    return ContentDigest(_digest(lines), _parts(lines))


def snapshot_digest(snapshot: str, rows: Sequence[Row] | None = None, *, proof: bool = False) -> str:
    """Of every row of the snapshot in that directory, deletions and unchanged ancestors included. Raises HostError.

    `rows` are those of its manifest, in order, for whoever has them. A file is only read where no row tells its digest,
    and nobody remembers it; with `proof` every file is read.
    """
    rows = read_rows(snapshot) if rows is None else rows
    told = not proof and all(row.digest for row in rows if row.type == FILE and row.size)
    view = StackView(() if told else (snapshot,))
    reader = _Prover(view) if proof else _ManifestReader(view)
    lines = (reader.line(row.path, f"{row.path}\x00{row.opaque:d}{row.implied:d}", row) for row in rows)
    if told:
        return _digest(lines)  # none of them is kept
    all_lines = list(lines)
    reader.finish()
    return _digest(all_lines)


def _read_by(op: AnyOp, number: int, view: View) -> Iterator[tuple[Match, Filter, bool]]:
    """What an op reads of an input: where it starts, what of that, and whether the start itself matters, or only what
    is below it (a COPY takes the contents of a directory, and nothing of itself).
    """
    if isinstance(op, CopyOp):
        for source in op.sources:
            if source.input != number or source.inline is not None:
                continue
            chosen = filter_of(op, source)
            for match in pivots(view, source) if op.parents else matches(view, source):
                if op.parents:
                    check_kept(view, source, match)
                yield match, chosen, match.row.type != DIR
    elif isinstance(op, RunOp):
        for mount in op.mounts:
            if isinstance(mount, (BindMount, CacheMount)) and mount.input == number:
                yield followed(view, mount.source), _EVERYTHING, True


class _Reader:
    """Rows of a view as lines."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._snapshots: dict[str, SnapshotDigests] = {}
        self._links: dict[str, str] = {}
        self._large: list[tuple[_Line, Row]] = []

    def lines(self, match: Match, chosen: Filter, *, whole: bool) -> list[_Line]:
        """The line of a match and, for a directory, those of what is taken below it."""
        self._links = {}
        top = self.line(match.name, f"/{match.name}", match.row) if whole else _Line(match.name, f"/{match.name}\x00")
        return [top, *self._below(match, chosen)] if match.row.type == DIR else [top]

    def _below(self, match: Match, chosen: Filter) -> Iterator[_Line]:
        prefix = f"{match.name}/" if match.name else ""
        for found in walk(self._view, match.row.path, chosen):
            yield self.line(prefix + found.below, found.below, found.row)

    def line(self, shown: str, name: str, row: Row) -> _Line:
        """One row. A file's attributes are in its digest, so that what an index remembers covers them."""
        link = self._first(self._group(row), name) if row.link and row.type == FILE else ""
        xattrs = "" if row.type == FILE else _xattrs(row.xattrs)
        line = _Line(
            shown,
            f"{name}\x00{row.type}\x00{row.mode:o}\x00{row.uid}\x00{row.gid}\x00{row.size}\x00{link}\x00"
            f"{row.target}\x00{row.device[0]}:{row.device[1]}\x00{xattrs}\x00",
        )
        if row.type == FILE:
            self._sum(line, row)
        return line

    def _group(self, row: Row) -> str:
        return self._view.link_of(row)

    def _first(self, token: str, name: str) -> str:
        """The first path of a hard-link group, by whatever the view knows the group."""
        return self._links.setdefault(token, name)

    def _sum(self, line: _Line, row: Row) -> None:
        """Fill in the digest of a file, now or when all lines are there."""
        known = EMPTY_SHA256 if not row.size else row.digest or self._remembered(row.path)
        if known is None and row.size >= LARGE_BYTES:
            self._large.append((line, row))
            return
        if known is None:
            known = hash_file(self._view, row.path)
            self._learn(row.path, known)
        line.digest = with_xattrs(known, row.xattrs)

    def finish(self) -> None:
        """Hash the large files, and write down what was learnt."""
        digests = hash_files(self._view, [row.path for _, row in self._large])
        for (line, row), digest in zip(self._large, digests, strict=True):
            self._learn(row.path, digest)
            line.digest = with_xattrs(digest, row.xattrs)
        self._large.clear()
        for known in self._snapshots.values():
            known.save()

    def _remembered(self, path: str) -> str | None:
        return self._beside(path).get(path) if isinstance(self._view, StackView) else None

    def _learn(self, path: str, digest: str) -> None:
        if isinstance(self._view, StackView):
            self._beside(path).put(path, digest)

    def _beside(self, path: str) -> SnapshotDigests:
        assert isinstance(self._view, StackView)  # noqa: S101 - asked by the callers
        snapshot = self._view.snapshot_of(path)
        found = self._snapshots.get(snapshot)
        if found is None:
            found = self._snapshots[snapshot] = SnapshotDigests(snapshot)
        return found


class _ManifestReader(_Reader):
    """The same of one manifest's own rows: they name their hard-link groups themselves."""

    def _group(self, row: Row) -> str:
        return row.link


class _Prover(_ManifestReader):
    """The same, and nothing is believed that is said of a file's bytes."""

    def _sum(self, line: _Line, row: Row) -> None:
        super()._sum(line, with_digest(row, ""))

    def _remembered(self, path: str) -> None:
        del path

    def _learn(self, path: str, digest: str) -> None:
        """What was found is to be compared, not to be kept."""


class _ContextReader(_Reader):
    """The same of a live directory, with the least possible work for a file whose stamp is known."""

    def __init__(self, view: DirectoryView, index: DigestIndex, began_ns: int) -> None:
        super().__init__(view)
        self._directory = view
        self._index = index
        self._began_ns = began_ns
        self._stamps: dict[str, Stamp] = {}

    def _below(self, match: Match, chosen: Filter) -> Iterator[_Line]:
        get, shown, top = self._index.get, f"{match.name}/" if match.name else "", match.row.path
        cut = len(top) + 1 if top else 0
        for path, entry in self._entries(top, chosen):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since
            name = path[cut:] if cut else path
            mode, size = status.st_mode, status.st_size
            stamp = stamp_of(status)
            if mode & _FORMAT == _REGULAR and status.st_nlink == 1:
                digest = get(path, stamp)
                if digest is not None:  # the line of a file that is known, as `line` makes it
                    mode &= 0o7777
                    fields = f"{name}\x00f\x00{mode:o}\x000\x000\x00{size}\x00\x00\x000:0\x00\x00"
                    yield _Line(shown + name, fields, digest)
                    continue
            self._stamps[path] = stamp
            yield self.line(shown + name, name, self._directory.row_of(path, status))

    def _entries(self, top: str, chosen: Filter) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What is taken below a directory of the context."""
        scan = self._directory.scan
        if not chosen.takes_all:
            for child, _ in walk_children(self._listing, top, chosen):
                yield child.path, child.of
            return
        todo = [iter(scan(top))]
        while todo:
            for path, entry in todo[-1]:
                yield path, entry
                if entry.is_dir(follow_symlinks=False):
                    todo.append(iter(scan(path)))
                    break
            else:
                todo.pop()

    def _listing(self, path: str) -> list[Child[os.DirEntry[str]]]:
        return [Child(child, entry.is_dir(follow_symlinks=False), entry) for child, entry in self._directory.scan(path)]

    def _sum(self, line: _Line, row: Row) -> None:
        stamp = self._stamps.get(row.path) or self._stamp(row.path)
        known = self._index.get(row.path, stamp)
        if known is not None:
            line.digest = known
            return
        self._stamps[row.path] = stamp
        super()._sum(line, row)
        if line.digest:
            self._keep(row.path, line.digest)

    def finish(self) -> None:
        """As above; large files are remembered, too."""
        large = list(self._large)
        super().finish()
        for line, row in large:
            self._keep(row.path, line.digest)

    def _keep(self, path: str, digest: str) -> None:
        """Remember a file, if it is old enough for its stamp to change when it does (mechanisms: stamps)."""
        stamp = self._stamps[path]
        if is_settled(stamp, self._began_ns):
            self._index.put(path, stamp, digest)

    def _stamp(self, path: str) -> Stamp:
        return stamp_of(os.lstat(self._directory.where(path)))


def _reader(view: View, index: DigestIndex | None, now_ns: int | None) -> _Reader:
    if index is None or not isinstance(view, DirectoryView):
        return _Reader(view)
    return _ContextReader(view, index, time.time_ns() if now_ns is None else now_ns)


def with_xattrs(digest: str, xattrs: tuple[tuple[str, bytes], ...]) -> str:
    """A file's digest that covers its attributes; without any, that of its bytes."""
    return digest_of(f"{digest}\x00{_xattrs(xattrs)}".encode("utf-8", "surrogateescape")) if xattrs else digest


def _xattrs(xattrs: Iterable[tuple[str, bytes]]) -> str:
    return ",".join(f"{name}={value.hex()}" for name, value in xattrs)


def _digest(lines: Iterable[_Line]) -> str:
    """The digest of all of them, as one text that is never there at once."""
    left = iter(lines)
    text = _text(left)
    more = _text(left)
    if not more:
        return digest_of(text)
    summed = running(text)
    while more:
        summed.update(more)
        more = _text(left)
    return "sha256:" + summed.hexdigest()


def _text(lines: Iterator[_Line]) -> bytes:
    """That of the next ones."""
    some = itertools.islice(lines, _LINES_AT_ONCE)
    return "".join([f"{line.fields}{line.digest}\x00" for line in some]).encode("utf-8", "surrogateescape")


def _parts(lines: list[_Line]) -> tuple[KeyPart, ...]:
    """The lines in groups: a file each if MAX_PARTS allows, else the largest directories stay whole."""
    whole: list[tuple[str, list[_Line]]] = []
    groups = [("", lines)] if lines else []
    while groups:
        name, members = groups.pop(0)
        parted = _split(name, members) if len(members) > 1 or (not name and members[0].shown) else {}
        if parted and len(whole) + len(groups) + len(parted) <= MAX_PARTS:
            groups += parted.items()
        else:
            whole.append((members[0].shown if len(members) == 1 else name, members))
    return tuple(KeyPart(_shown(name), _digest(members)) for name, members in sorted(whole))


def _split(name: str, lines: list[_Line]) -> dict[str, list[_Line]]:
    """The lines below `name`, by what is directly below it; {} when that is too much. A directory's own line is with
    what is below it.
    """
    cut = len(name) + 1 if name else 0
    found: dict[str, list[_Line]] = {}
    for line in lines:
        end = line.shown.find("/", cut)
        key = line.shown if end < 0 else line.shown[:end]
        members = found.get(key)
        if members is not None:
            members.append(line)
        elif len(found) == MAX_PARTS:
            return {}
        else:
            found[key] = [line]
    return found if len(found) > 1 or name not in found else {}


def _shown(path: str) -> str:
    """A path as text that any file can hold: a byte that is not UTF-8 is written as people write it, in hexadecimal."""
    return "/" + path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
