"""Cache mounts: directories by id, shared as the mount says, by flocks (reference §1.8)."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jettison.base.digest import digest_of
from jettison.store.index import Index
from jettison.store.locks import Stop, lock, try_lock

NAME_DIGITS = 32
Remove = Callable[[str], object]


class CacheMounts:
    """Cache directories. `ID/0` is the one that `shared` and `locked` use; `private` takes the first that is free."""

    def __init__(self, root: str, index: Index) -> None:
        self._root = root
        self._index = index

    @contextmanager
    def hold(
        self, cache_id: str, sharing: str = "shared", *, cancel: Stop | None = None, empty: Remove | None = None
    ) -> Iterator[str]:
        """The path of the cache's directory, locked as `sharing` says while the block runs.

        The path may not be there yet: who uses it makes it, with its owner and mode. `empty` is called first with a
        directory that is there and that nobody else uses, and removes it (--no-cache): its files may be others'.
        """
        family = _family(cache_id)
        os.makedirs(os.path.join(self._root, "caches", family), mode=0o700, exist_ok=True)
        if empty is not None and sharing == "shared":
            self._empty_unused(f"{family}/0", empty)
        name, fd = self._take(family, sharing, cancel)
        try:
            if empty is not None and sharing != "shared":
                self._empty(name, empty)
            self._note(name, cache_id)
            yield self.path(name)
        finally:
            os.close(fd)

    def first(self, cache_id: str) -> str:
        """Where the directory lies, or would, that `shared` and `locked` use."""
        return self.path(f"{_family(cache_id)}/0")

    def path(self, name: str) -> str:
        """Where the directory of that name lies."""
        return os.path.join(self._root, "caches", name)

    def try_exclusive(self, name: str) -> int | None:
        """The descriptor that keeps everybody out of a directory, None while somebody uses it."""
        return try_lock(self._lock_path(name))

    def _take(self, family: str, sharing: str, cancel: Stop | None) -> tuple[str, int]:
        """(the directory's name, the descriptor that holds it)."""
        first = f"{family}/0"
        if sharing != "private":
            return first, lock(self._lock_path(first), shared=sharing == "shared", cancel=cancel)
        for number in itertools.count():
            fd = try_lock(self._lock_path(f"{family}/{number}"))
            if fd is not None:
                return f"{family}/{number}", fd
        raise AssertionError("unreachable: there is always one more")

    def _empty_unused(self, name: str, empty: Remove) -> None:
        fd = self.try_exclusive(name)
        if fd is not None:
            try:
                self._empty(name, empty)
            finally:
                os.close(fd)

    def _empty(self, name: str, empty: Remove) -> None:
        if os.path.isdir(path := self.path(name)):
            empty(path)

    def _lock_path(self, name: str) -> str:
        return os.path.join(self._root, "locks", f"cache-{name.replace('/', '-')}")

    def _note(self, name: str, cache_id: str) -> None:
        now = int(time.time())
        text = cache_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        with self._index.write() as db:
            db.execute("INSERT OR REPLACE INTO caches VALUES (?,?,?)", (name, text, now))


def name_of(cache_id: str) -> str:
    """A cache's name wherever it is: the digest of its id, which may be any bytes."""
    return digest_of(cache_id.encode("utf-8", "surrogateescape"))


def _family(cache_id: str) -> str:
    return name_of(cache_id)[7 : 7 + NAME_DIGITS]
