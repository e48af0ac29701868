"""Digests of a context's files by their stamps: read whole when first asked, kept whole when the build has used it."""

from __future__ import annotations

import threading

from jettison.store.stamps import Stamp, Stamps


class StampIndex:
    """The tree's DigestIndex of one context (`tree.content.DigestIndex`), on the store. For several threads."""

    def __init__(self, stamps: Stamps, root: str) -> None:
        self._stamps = stamps
        self._root = root
        self._known = stamps.load(root)
        self._new: dict[str, Stamp] = {}
        self._lock = threading.Lock()

    def get(self, path: str, stamp: tuple[int, int, int, int, int]) -> str | None:
        """The digest that the file at `path` had with exactly that stamp, or None."""
        known = self._known.get(path)
        if known is None or (known.size, known.mtime_ns, known.ctime_ns, known.inode, known.mode) != stamp:
            new = self._new.get(path)
            return new.digest if new is not None and _stamp(new) == stamp else None
        return known.digest

    def put(self, path: str, stamp: tuple[int, int, int, int, int], digest: str) -> None:
        """Remember it."""
        with self._lock:
            self._new[path] = Stamp(*stamp, digest)

    def save(self) -> None:
        """Keep what is new; nothing is written when nothing is."""
        with self._lock:
            if self._new:
                self._known = self._known | self._new
                self._stamps.save(self._root, self._known)
                self._new = {}


def _stamp(known: Stamp) -> tuple[int, int, int, int, int]:
    return (known.size, known.mtime_ns, known.ctime_ns, known.inode, known.mode)
