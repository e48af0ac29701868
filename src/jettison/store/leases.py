"""What a running build uses is pinned: one lease a process, a locked file of names. The dead hold no locks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from jettison.store.locks import Gate, try_lock


class Lease:
    """This process's lease: layer ids and blob digests that nobody may remove while we live, and our own tmp directory.

    Made when first needed: to look at a store takes none. Pin within `gate.shared()`, together with the look-up.
    """

    def __init__(self, root: str, gate: Gate) -> None:
        self.session = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._root = root
        self._gate = gate
        self._path = os.path.join(lease_directory(root), self.session)
        self._lock = threading.Lock()
        self._fd = -1
        self._pinned: set[str] = set()

    def pin(self, names: Iterable[str]) -> None:
        """Hold `names` until the process ends or `release`. Free for what is pinned already."""
        with self._lock:
            new = [name for name in names if name not in self._pinned]
            if new:
                self._open()
                os.write(self._fd, "".join(f"{name}\n" for name in new).encode())
                self._pinned.update(new)

    def tmp(self) -> str:
        """The process's own directory for what is not finished, on the store's filesystem."""
        path = os.path.join(self._root, "tmp", self.session)
        with self._lock:
            if self._fd == -1 or not os.path.isdir(path):
                self._open()
                os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def release(self) -> None:
        """Let everything go. What is left in `tmp` is collected later, as a dead build's is."""
        with self._lock:
            if self._fd == -1:
                return
            try:
                os.rmdir(os.path.join(self._root, "tmp", self.session))
            except OSError:
                pass  # not empty, or never made
            os.unlink(self._path)
            os.close(self._fd)
            self._fd = -1
            self._pinned.clear()

    def _open(self) -> None:
        """Make the file and lock it. Whoever collects the dead holds the store, so none is seen between the two."""
        if self._fd == -1:
            with self._gate.shared():
                fd = try_lock(self._path)
            if fd is None:
                raise AssertionError(f"the name of lease {self.session} is taken")
            self._fd = fd


def lease_directory(root: str) -> str:
    return os.path.join(root, "locks", "leases")


def living(root: str) -> tuple[frozenset[str], frozenset[str]]:
    """(sessions that live, names that they pin). Leases of the dead are removed. Call it with the store held."""
    sessions: set[str] = set()
    names: set[str] = set()
    for session in os.listdir(lease_directory(root)):
        path = os.path.join(lease_directory(root), session)
        fd = try_lock(path)
        if fd is not None:
            os.unlink(path)
            os.close(fd)
            continue
        sessions.add(session)
        with open(path, encoding="utf-8") as lines:
            names.update(line.rstrip("\n") for line in lines)
    return frozenset(sessions), frozenset(names)


def leftovers(root: str, sessions: frozenset[str]) -> tuple[str, ...]:
    """What dead builds left in tmp: paths to remove. Call it with the store held."""
    tmp = os.path.join(root, "tmp")
    return tuple(os.path.join(tmp, name) for name in sorted(os.listdir(tmp)) if name not in sessions)
