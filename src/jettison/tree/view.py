"""Trees as they are looked up: a layer stack merged lazily from its manifests, or a live directory of the user.

Paths are relative to the root, without a leading slash; the root is "". No look-up follows a symlink; `resolve` does,
inside the root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Protocol, Self

import msgspec

from jettison.base.errors import HostError, InputError
from jettison.tree.directory import DirectoryView
from jettison.tree.manifest import Manifest, read_manifest
from jettison.tree.row import DELETED, DIR, SYMLINK, Row

__all__ = ["ArchiveView", "DirectoryView", "StackView", "View", "resolve"]

KEPT_ROWS = 8_000  # of manifests that were read: some megabytes
FEW = 32  # look-ups in a manifest, before it is decoded
SMALL_ROWS = 256  # are decoded as soon as searched
MAX_LINKS = 255  # symlinks followed in one look-up, as the reference builder allows
ROOT = Row("", DIR, 0o755)


class Lookup(Protocol):
    """Whatever tells what stands at a path."""

    def row(self, path: str) -> Row | None:
        """What stands at `path`, no symlink followed; None for nothing, also when a parent is no directory."""


class View(Lookup, Protocol):
    """A tree to be read. Rows that it gives have `implied` False; their `opaque` is the layer's own business."""

    @property
    def linkable(self) -> bool:
        """Whether `where` names files of snapshots, which never change and may be hard-linked."""

    def entries(self, path: str) -> list[Row]:
        """The rows directly below `path`, in `tree.row.order`; [] when it is no directory."""

    def children(self, path: str) -> list[str]:
        """The names directly below `path`, sorted; [] when it is no directory."""

    def where(self, path: str) -> str:
        """The path on this machine of the bytes of the file at `path`."""

    def open(self, path: str) -> int:
        """A descriptor to read the bytes of the file at `path`. Raises InputError or HostError when it cannot be."""

    def link_of(self, row: Row) -> str:
        """What rows of this view have in common when they are one file by hard links; "" for a file that is alone."""

    def hidden_by(self, path: str) -> str | None:
        """The pattern of an ignore file that hides `path`, which does exist; None when it is not for that."""


class _Rows:
    """The rows of one snapshot; `get` gives that of a path. A COPY asks a base for a handful, of which most are not
    there: so a large manifest is searched for the first few, and decoded when there are more.
    """

    __slots__ = ("_by_parent", "_by_path", "_few", "_manifest", "count", "get")

    def __init__(self, manifest: Manifest) -> None:
        self._manifest: Manifest | None = manifest
        self._by_path: dict[str, Row] = {}
        self._by_parent: dict[str, list[Row]] | None = None
        self._few = FEW if manifest.count > SMALL_ROWS else 0
        self.count = manifest.count
        self.get: Callable[[str], Row | None] = self._sought

    def below(self, path: str) -> list[Row]:
        """The rows directly below `path`."""
        if self._by_parent is None:
            index: dict[str, list[Row]] = {}
            for child, row in self._decoded().items():
                if child:
                    index.setdefault(child.rpartition("/")[0], []).append(row)
            self._by_parent = index
        return self._by_parent.get(path, [])

    def _sought(self, path: str) -> Row | None:
        self._few -= 1
        manifest = self._manifest if self._few >= 0 else None
        if manifest is not None and not path:
            return manifest.root()
        if manifest is not None and manifest.lacks(path):
            return None
        return self._decoded().get(path)

    def _decoded(self) -> dict[str, Row]:
        manifest = self._manifest
        if manifest is not None:
            self._by_path = {row.path: row for row in manifest.rows()}
            self.get = self._by_path.get
            self._manifest = None
        return self._by_path


class _Loader:
    """Loads manifests, and keeps small ones that were used last: a process of the keeper's does one step after another,
    most of them on the same layers.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, int, int], _Rows]] = {}  # by snapshot, in the order in which it was used

    def load(self, snapshot: str) -> _Rows:
        """The rows of a snapshot. Raises HostError for a damaged one."""
        stamp = self._stamp(f"{snapshot}/manifest")
        known = self._kept.pop(snapshot, None)
        if known is None or known[0] != stamp:
            known = stamp, _Rows(read_manifest(snapshot))
        if known[1].count <= KEPT_ROWS:
            self._kept[snapshot] = known
            self._make_room()
        return known[1]

    @staticmethod
    def _stamp(path: str) -> tuple[int, int, int]:
        """What another file at that path would differ in. One that is not there is told of when it is read."""
        try:
            status = os.stat(path)
        except OSError:
            return 0, 0, 0
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _make_room(self) -> None:
        total = sum(rows.count for _, rows in tuple(self._kept.values()))
        for snapshot in tuple(self._kept):
            if total <= KEPT_ROWS:
                return
            gone = self._kept.pop(snapshot, None)
            total -= gone[1].count if gone is not None else 0


_loader = _Loader()


class _Layer(msgspec.Struct, gc=False):
    """One snapshot of a stack: where its bytes are, and its rows."""

    number: int
    files: str
    rows: _Rows

    @classmethod
    def of(cls, number: int, snapshot: str) -> Self:
        """The snapshot in that directory. Raises HostError for a damaged one."""
        return cls(number, f"{snapshot}/files", _loader.load(snapshot))


class StackView:
    """A layer stack: snapshot directories, bottom first. Manifests are read at once, bytes when they are asked for.

    Raises HostError for a damaged snapshot.
    """

    linkable = True

    def __init__(self, snapshots: Iterable[str]) -> None:
        self._layers = [_Layer.of(number, snapshot) for number, snapshot in enumerate(snapshots)][::-1]
        self._live: dict[str, tuple[_Layer, ...]] = {"": _above_opaque("", self._layers)}

    @property
    def empty(self) -> bool:
        """Whether there is no layer at all (`FROM scratch`)."""
        return not self._layers

    def row(self, path: str) -> Row | None:
        """See `View`."""
        if not path:
            return self._merged("", self._live[""]) or ROOT
        return self._merged(path, self._layers_of(path.rpartition("/")[0]))

    def entries(self, path: str) -> list[Row]:
        """See `View`."""
        layers = self._layers_of(path)
        if len(layers) == 1:
            return [_plain(row) for row in layers[0].rows.below(path) if row.type != DELETED]
        names = sorted({row.path for layer in layers for row in layer.rows.below(path)})
        return [row for name in names if (row := self._merged(name, layers)) is not None]

    def children(self, path: str) -> list[str]:
        """See `View`."""
        cut = len(path) + 1 if path else 0
        return [row.path[cut:] for row in self.entries(path)]

    def where(self, path: str) -> str:
        """See `View`. Raises HostError for what no layer holds."""
        return f"{self._holder(path).files}/{path}"

    def snapshot_of(self, path: str) -> str:
        """The directory of the snapshot that holds what is at `path`. Raises HostError for what no layer holds."""
        return self._holder(path).files.removesuffix("/files")

    def open(self, path: str) -> int:
        """See `View`."""
        where = self.where(path)
        try:
            return os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(
                f"a snapshot is damaged: cannot read {where}: {error.strerror}",
                hint="remove its directory from the store's snapshots, and build again",
            ) from error

    def link_of(self, row: Row) -> str:
        """See `View`."""
        return f"{self._holder(row.path).number}:{row.link}" if row.link else ""

    def hidden_by(self, path: str) -> str | None:
        """See `View`: nothing hides what is in a layer."""
        del path
        return None

    def _holder(self, path: str) -> _Layer:
        for layer in self._layers_of(path.rpartition("/")[0]):
            row = layer.rows.get(path)
            if row is not None and not row.implied and row.type != DELETED:
                return layer
        raise HostError(f"no layer holds /{path}")

    def _layers_of(self, path: str) -> tuple[_Layer, ...]:
        """The layers that show what they hold below the directory `path`, topmost first."""
        found = self._live.get(path)
        if found is not None:
            return found
        unknown = []
        while path not in self._live:  # no recursion: a path may be as deep as it likes
            unknown.append(path)
            path = path.rpartition("/")[0]
        found = self._live[path]
        for below in reversed(unknown):
            found = self._live[below] = _above_opaque(below, found)
        return found

    @staticmethod
    def _merged(path: str, layers: tuple[_Layer, ...]) -> Row | None:
        implied: Row | None = None
        for layer in layers:
            row = layer.rows.get(path)
            if row is None:
                continue
            if row.type == DELETED:
                break
            if not row.implied:
                if implied is not None and row.type != DIR:
                    break
                return row
            implied = row  # it knows no better than the layer below, if that has it
        return _plain(implied) if implied is not None else None


class ArchiveView(StackView):
    """A snapshot whose files have neither owner nor mode (`tree.disk.BytesAlone`): they can be copied, not linked."""

    linkable = False


def _above_opaque(path: str, layers: Iterable[_Layer]) -> tuple[_Layer, ...]:
    """Those of `layers` in which `path` is a directory, down to the first that hides what is below it."""
    found: list[_Layer] = []
    for layer in layers:
        row = layer.rows.get(path)
        if row is None:
            if not path:
                found.append(layer)
            continue
        if row.type != DIR:
            break
        found.append(layer)
        if row.opaque:
            break
    return tuple(found)


def _plain(row: Row) -> Row:
    return msgspec.structs.replace(row, implied=False) if row.implied else row


def resolve(view: Lookup, path: str, *, follow_last: bool = True) -> str:
    """`path` without symlinks: those on the way, and the last unless told, are followed inside the root.

    `..` never leads above the root. What does not exist stands for itself. Raises InputError for symlinks in a circle.
    """
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if done:
                done.pop()
            continue
        done.append(part)
        if not todo and not follow_last:
            break
        row = view.row("/".join(done))
        if row is None or row.type != SYMLINK:
            continue
        links += 1
        if links > MAX_LINKS:
            error = InputError(f"/{path.lstrip('/')}: too many levels of symbolic links", hint="they lead in a circle")
            error.subject = f"/{path.lstrip('/')}"
            raise error
        done.pop()
        if row.target.startswith("/"):
            done.clear()
        todo += [step for step in reversed(row.target.split("/")) if step not in ("", ".")]
    return "/".join(done)
