"""Snapshots by layer id: where they lie, how a new one comes in. Their files are the keeper's business, not ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager

from jettison.base.digest import hex_of, is_digest
from jettison.store.boots import boot_id
from jettison.store.leases import Lease
from jettison.store.locks import Gate, Stop, held

MADE = "s-"
ROWS_ONLY = ".rows"
MADE_IN = "made-in"  # a symlink, which is there as soon as its directory is: the boot in which the snapshot was made
_HEX = frozenset("0123456789abcdef")


def directory_name(layer: str) -> str:
    """`sha256-HEX` for a base's layer (its diff_id), `s-HEX` for one that we made. Raises ValueError for others."""
    if is_digest(layer):
        return f"sha256-{hex_of(layer)}"
    if layer.startswith(MADE) and len(layer) > len(MADE) and _HEX.issuperset(layer[len(MADE) :]):
        return layer
    raise ValueError(f"not the id of a layer: {layer!r}")


def layer_of(name: str) -> str | None:
    """The layer of a directory name, None for what is no snapshot's."""
    name = name.removesuffix(ROWS_ONLY)
    layer = "sha256:" + name[7:] if name.startswith("sha256-") else name
    try:
        directory_name(layer)
    except ValueError:
        return None
    return layer


class Snapshots:
    """Snapshot directories. A new one is made aside, at `new`'s path, and becomes whole by `keep`: one rename.

    Nothing is synced, so after a power cut files may be shorter than their rows say. A snapshot of another boot is
    therefore doubted until it is proved, and `find` does not find it (docs/decisions, 17).
    """

    def __init__(self, root: str, lease: Lease, gate: Gate) -> None:
        self.directory = os.path.join(root, "snapshots")
        self._locks = os.path.join(root, "locks", "blobs")
        self._lease = lease
        self._gate = gate
        # What was found whole is pinned, and so stays that way: layers, and where `find` found one.
        self._whole: set[str] = set()
        self._found: dict[tuple[str, bool], str] = {}
        self._boot = boot_id()

    def path(self, layer: str, *, files: bool = True) -> str:
        """Where the snapshot lies. `files` False: where its rows alone may lie, without the files' bytes."""
        return os.path.join(self.directory, directory_name(layer) + ("" if files else ROWS_ONLY))

    def find(self, layer: str, *, files: bool = True) -> str | None:
        """The snapshot's directory if it is whole (with `files` False: at least its rows); pins it while we live."""
        known = self._found.get((layer, files))
        if known is not None:
            return known
        wanted = (True,) if files else (True, False)
        with self._gate.shared():
            for each in wanted:
                path = self.path(layer, files=each)
                if os.path.isdir(path) and not self._is_doubted(path):
                    self._lease.pin((layer,))
                    self._found[layer, files] = path
                    return path
        return None

    def doubted(self, layer: str, *, files: bool = True) -> str | None:
        """The directory of a snapshot that another boot left, if it is one; pins it while we live."""
        path = self.path(layer, files=files)
        if not self._is_doubted(path):
            return None
        with self._gate.shared():
            self._lease.pin((layer,))
        return path if self._is_doubted(path) else None

    def prove(self, layer: str) -> None:
        """The doubted snapshot is what it should be. Call it with the layer's lock held."""
        os.unlink(os.path.join(self.path(layer), MADE_IN))

    def _is_doubted(self, path: str) -> bool:
        try:
            return os.readlink(os.path.join(path, MADE_IN)) != self._boot
        except FileNotFoundError:
            return False

    def all_whole(self, layers: Iterable[str]) -> bool:
        """Whether every layer that we made is whole; if so all are pinned while we live. A base's layers count as
        whole: they can be fetched again. One that is doubted is proved when its bytes are needed.
        """
        unknown = tuple(layer for layer in layers if layer not in self._whole)
        if not unknown:
            return True
        with self._gate.shared():
            whole = all(os.path.isdir(self.path(layer)) for layer in unknown if layer.startswith(MADE))
            if whole:
                self._lease.pin(unknown)
                self._whole.update(unknown)
        return whole

    def new(self) -> tuple[str, str]:
        """(layer id, path): a new layer, pinned, and the path (not there yet) at which its snapshot is to be made."""
        layer = MADE + os.urandom(16).hex()
        return layer, self.aside(layer)

    def aside(self, layer: str, *, files: bool = True) -> str:
        """The path (not there yet) at which the snapshot of `layer` is to be made; the layer is pinned."""
        self._lease.pin((layer,))
        return os.path.join(self._lease.tmp(), directory_name(layer) + ("" if files else ROWS_ONLY))

    def keep(self, layer: str, *, files: bool = True, synced: bool = False) -> bool:
        """Move the finished snapshot from its path aside into the store. False when another build was first: then what
        lies aside is left there, to be removed. `synced`: no power cut can harm it.
        """
        aside = self.aside(layer, files=files)
        if not synced:
            os.symlink(self._boot, os.path.join(aside, MADE_IN))
        try:
            os.rename(aside, self.path(layer, files=files))
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        self._look_again(layer)
        return True

    def drop(self, layer: str, *, files: bool = True) -> str | None:
        """Take a snapshot that nobody knows of out of the store again: where it lies then, as rubbish; None for one
        that is not there.
        """
        self._whole.discard(layer)
        self._look_again(layer)
        gone = os.path.join(self._lease.tmp(), f"dropped-{os.urandom(6).hex()}")
        try:
            os.rename(self.path(layer, files=files), gone)
        except FileNotFoundError:
            return None
        return gone

    def _look_again(self, layer: str) -> None:
        for files in (True, False):
            self._found.pop((layer, files), None)

    def lock(self, layer: str, cancel: Stop | None = None) -> AbstractContextManager[None]:
        """Hold the layer's lock, so that two builds (or threads) unpack it once: ask `find` again inside."""
        return held(os.path.join(self._locks, directory_name(layer)), cancel=cancel, remove=True)
