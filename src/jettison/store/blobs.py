"""Content-addressed blobs: written aside, verified while they stream in, synced, renamed. Never half there.

Documents are not synced, but proved by their digest whenever they are read (docs/decisions, 17).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from jettison.base.digest import SMALL_BYTES, digest_of, hex_of, running
from jettison.base.errors import HostError, InputError
from jettison.store.leases import Lease
from jettison.store.locks import Gate, Stop, held

if TYPE_CHECKING:
    import hashlib

CHUNK = 1 << 20
_FLUSH_BYTES = 8 << 20  # the disk begins with what was written, while the rest still comes in: syncing waits less


class Blobs:
    """The blobs of a store, by digest. Digests are checked: they name paths. Raises ValueError for what is none."""

    def __init__(self, root: str, lease: Lease, gate: Gate) -> None:
        self.directory = os.path.join(root, "blobs", "sha256")
        self._locks = os.path.join(root, "locks", "blobs")
        self._lease = lease
        self._gate = gate

    def path(self, digest: str) -> str:
        """Where the blob lies or would lie."""
        return os.path.join(self.directory, hex_of(digest))

    def has(self, digest: str) -> bool:
        """Whether the blob is there; if so it stays for as long as we live."""
        path = self.path(digest)
        with self._gate.shared():
            there = os.path.exists(path)
            if there:
                self._lease.pin((digest,))
        return there

    def size(self, digest: str) -> int | None:
        """The blob's size in bytes, None when it is not there."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return None

    def open(self, digest: str) -> BinaryIO:
        """The blob for reading. Raises HostError when it is not there."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise HostError(f"blob {digest} is not in the store", hint="build or pull the image again") from None

    def read(self, digest: str, limit: int = 64 << 20) -> bytes:
        """The bytes of a document. Raises HostError when it is missing, or longer than `limit` bytes."""
        with self.open(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise HostError(f"blob {digest} is longer than the {limit} bytes that a document may have")
        return data

    def document(self, digest: str) -> bytes | None:
        """The bytes of a small blob; None when it is not here. A damaged one is removed: it is got or made again."""
        if not self.has(digest):
            return None
        data = self.read(digest)
        if digest_of(data) == digest:
            return data
        _remove(self.path(digest))
        return None

    def put(self, data: bytes) -> str:
        """Keep these bytes; their digest."""
        digest = digest_of(data)
        if not self.has(digest):
            with self.ingest(digest, len(data)) as writer:
                writer.write(data)
        return digest

    def put_document(self, data: bytes) -> str:
        """Keep the bytes of a document, which nobody reads but by `document`; their digest.

        They are not synced: a power cut may harm them, and they are proved whenever they are read.
        """
        digest = digest_of(data)
        if self.document(digest) is None:
            with Ingest(self, digest, len(data), sync=False) as writer:
                writer.write(data)
        return digest

    def ingest(self, digest: str, size: int | None = None) -> Ingest:
        """A writer for a blob that must have that digest (and size). Leaving its block keeps the blob; raising in it
        leaves nothing behind. Raises InputError when the bytes are not those that were promised.
        """
        return Ingest(self, digest, size)

    def lock(self, digest: str, cancel: Stop | None = None) -> AbstractContextManager[None]:
        """Hold the blob's lock, so that two builds (or threads) that want it fetch it once: ask `has` again inside."""
        return held(os.path.join(self._locks, hex_of(digest)), cancel=cancel, remove=True)

    def fetch(self, digest: str, size: int | None, chunks: Callable[[], Iterable[bytes]], cancel: Stop | None) -> bool:
        """Make sure the blob is here, by `chunks()` when it is not. False when it was here already."""
        if self.has(digest):
            return False
        with self.lock(digest, cancel):
            if self.has(digest):
                return False
            with self.ingest(digest, size) as writer:
                for chunk in chunks():
                    writer.write(chunk)
        return True

    def adopt(self, path: str, digest: str) -> None:
        """Move in a finished file of the store's disk whose digest its maker computed (a packed layer)."""
        final = self.path(digest)
        self._lease.pin((digest,))
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(path, final)

    def aside(self, digest: str) -> str:
        """A path for a blob's bytes while they come in; the blob is pinned from here on."""
        self._lease.pin((digest,))
        return os.path.join(self._lease.tmp(), f"{hex_of(digest)}-{os.urandom(4).hex()}")


class Ingest:
    """One blob on its way in: a context manager; `write` its bytes in order."""

    def __init__(self, blobs: Blobs, digest: str, size: int | None, *, sync: bool = True) -> None:
        self._final = blobs.path(digest)
        self._aside = blobs.aside(digest)
        self._digest = digest
        self._size = size
        self._sync = sync
        self._hash = self._new_hash()
        self._file: BinaryIO | None = None
        self.written = 0
        self._flushed = 0

    def __enter__(self) -> Self:
        self._file = open(self._aside, "xb", buffering=0)
        return self

    def follow(self) -> int:
        """A descriptor that reads what is written, from the beginning; the caller's to close."""
        return os.open(self._aside, os.O_RDONLY | os.O_CLOEXEC)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes. Raises InputError as soon as there are more than were promised."""
        if self._file is None:
            raise AssertionError("a blob is written within its block")
        self.written += len(data)
        if self._size is not None and self.written > self._size:
            raise InputError(f"blob {self._digest} is longer than the {self._size} bytes that it should have")
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        if self.written - self._flushed >= _FLUSH_BYTES:
            self._flushed = _begin_to_sync(self._file.fileno(), self._flushed, self.written)

    @property
    def is_whole(self) -> bool:
        """Whether as many bytes were written as were promised, right or wrong."""
        return self.written == self._size

    @property
    def digest(self) -> str:
        """Of all that was written so far."""
        return "sha256:" + self._hash.hexdigest()

    def restart(self) -> None:
        """Begin anew: another server is asked for the whole blob."""
        if self._file is None:
            raise AssertionError("a blob is written within its block")
        self._file.seek(0)
        self._file.truncate()
        self._hash = self._new_hash()
        self.written = self._flushed = 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            with file:
                if kind is None:
                    self._verify()
                    if self._sync:
                        os.fsync(file.fileno())
            if kind is None:
                os.replace(self._aside, self._final)
        finally:
            _remove(self._aside)

    def _new_hash(self) -> hashlib._Hash:
        return running(expected_bytes=SMALL_BYTES if self._size is None else self._size)

    def _verify(self) -> None:
        if self._size is not None and self.written != self._size:
            raise InputError(f"blob {self._digest} has {self.written} bytes instead of {self._size}")
        if self.digest != self._digest:
            raise InputError(f"digest mismatch: a blob should be {self._digest}, its bytes are {self.digest}")


def _begin_to_sync(fd: int, start: int, end: int) -> int:
    """Have the kernel begin to write these bytes to the disk; waits for nothing, promises nothing. Returns `end`."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, start, end - start, os.POSIX_FADV_DONTNEED)  # of pages that are dirty it means just that
    return end


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
