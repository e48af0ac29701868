"""The store as its users hold it: one value with its parts.

What lies in it: version, salt, isolation (the keeper's note), index.sqlite, blobs/sha256/HEX,
snapshots/ID/{head,manifest,files/}, caches/ID/N, tmp/SESSION, locks/, records/ID.json.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from jettison.store.answers import Answers
from jettison.store.blobs import Blobs
from jettison.store.cachemounts import CacheMounts
from jettison.store.home import find_home, prepare
from jettison.store.index import Index
from jettison.store.layers import Layers
from jettison.store.leases import Lease, leftovers, living
from jettison.store.locks import Gate
from jettison.store.names import Names, Refs
from jettison.store.records import Records
from jettison.store.remotes import Remotes
from jettison.store.snapshots import Snapshots
from jettison.store.stamps import Stamps


class Store:
    """An open store. Safe for any number of threads, and of processes that open it at the same time.

    `root` is its directory; `notes` what the user should be told about where it is. Close it once, or use it as a
    context manager; a process that dies instead leaves garbage at most, which `sweep.prune` collects.
    """

    def __init__(self, root: str, notes: tuple[str, ...] = ()) -> None:
        prepare(root)
        self.root = root
        self.notes = notes
        self.gate = Gate(os.path.join(root, "locks", "store"))
        self.lease = Lease(root, self.gate)
        self.index = Index(os.path.join(root, "index.sqlite"))
        self.blobs = Blobs(root, self.lease, self.gate)
        self.snapshots = Snapshots(root, self.lease, self.gate)
        self.caches = CacheMounts(root, self.index)
        self.layers = Layers(self.index)
        self.names = Names(self.index)
        self.refs = Refs(self.index)
        self.answers = Answers(self.index)
        self.remotes = Remotes(self.index)
        self.stamps = Stamps(self.index)
        self.records = Records(root)

    @classmethod
    def open(cls, home: str | None = None) -> Store:
        """Open the store in `home` (else $JETTISON_HOME, else XDG data; see `home.find_home`); made when missing.

        Raises HostError: somebody else's store, another version, a place that cannot be written, a damaged index.
        """
        place = find_home(home, dict(os.environ))
        return cls(place.root, place.notes)

    def close(self) -> None:
        """Let go of everything that was pinned, and of the index."""
        self.lease.release()
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def salt(self) -> bytes:
        """32 random bytes that only this store knows, made when they are first asked for."""
        from jettison.store.salt import salt

        return salt(self.root)

    def snapshot_path(self, layer: str) -> str:
        """Where the snapshot of `layer` lies or would lie, with its files."""
        return self.snapshots.path(layer)

    def new_snapshot(self) -> tuple[str, str]:
        """(layer id, path): have a snapshot made at `path`, which is not there yet, then `keep_snapshot(layer)`."""
        return self.snapshots.new()

    def keep_snapshot(self, layer: str) -> None:
        """The snapshot of `layer` is finished: it becomes part of the store by one rename."""
        self.snapshots.keep(layer)

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """An empty directory on the store's disk. What is left in it afterwards becomes rubbish."""
        path = os.path.join(self.lease.tmp(), f"scratch-{os.urandom(6).hex()}")
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            try:
                os.rmdir(path)
            except OSError:
                pass  # not empty: the keeper removes it, with the rest of `rubbish`

    def rubbish(self) -> tuple[str, ...]:
        """Paths that nobody needs any more: ours that are not finished, and what dead builds left. For the keeper to
        remove, when no step runs.
        """
        with self.gate.exclusive():
            sessions, _ = living(self.root)
            dead = leftovers(self.root, sessions)
        own = os.path.join(self.root, "tmp", self.lease.session)
        return (*dead, *(os.path.join(own, name) for name in _names(own)))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
