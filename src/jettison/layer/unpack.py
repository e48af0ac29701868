"""A layer blob as a snapshot, and a local archive as files: both from input that anyone may have made."""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from typing import Self

import msgspec

from jettison.base.errors import HostError, InputError, full_store
from jettison.layer.decompress import Read, decompressed
from jettison.layer.extract import Extraction, Lookup
from jettison.layer.growing import Growing
from jettison.layer.stream import Stream
from jettison.layer.tarread import entries, is_tar
from jettison.layer.tarwrite import BLOCK_BYTES
from jettison.tree.disk import Disk
from jettison.tree.manifest import Head, write_head, write_rows
from jettison.tree.row import Row

# What a name or target in an archive can make the system say.
_FAULTS_OF_INPUT = (errno.ENAMETOOLONG, errno.EINVAL, errno.EFBIG, errno.ELOOP, errno.EILSEQ, errno.ERANGE, errno.E2BIG)


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows the manifest has."""

    rows: int


def _silent(text: str) -> None:
    del text


def unpack(  # noqa: PLR0917 - as the keeper's request has them
    blob: str | Growing,
    media_type: str,
    diff_id: str,
    out: str,
    files: bool,
    disk: Disk,
    *,
    head: Head | None = None,
    below: Lookup | None = None,
    warn: Callable[[str], None] = _silent,
) -> Unpacked:
    """The layer at `blob` as a snapshot at `out`, which must not exist; without `files`, its head and manifest alone.
    `blob` is a path, or what is still being written.

    `diff_id` is what the uncompressed tar must sum up to. `head` says who writes (tier, id maps). `below` gives rows of
    the layers beneath, for the metadata of directories that the layer takes for granted. `media_type` is for messages:
    the bytes say what they are. Raises InputError for a bad archive or a wrong sum and HostError for the disk; either
    way nothing is left at `out`.
    """
    try:
        os.mkdir(out, 0o700)
    except OSError as error:
        raise _of_system(error, f"layer {diff_id}") from error
    try:
        if files:
            os.mkdir(f"{out}/files", 0o700)
        extraction = Extraction(f"{out}/files" if files else "", disk if files else None, warn, layer=True, below=below)
        try:
            rows = _unpack(blob, diff_id, extraction)
        except InputError as error:
            raise InputError(f"layer {diff_id} ({media_type}): {error.message}", hint=error.hint) from error
        write_rows(out, rows)
        write_head(out, msgspec.structs.replace(head or Head(), unpacked=True, files=files))
    except BaseException as error:
        _remove(out)
        if isinstance(error, OSError):
            raise _of_system(error, f"layer {diff_id}") from error
        raise
    return Unpacked(rows=len(rows))


def _remove(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _unpack(blob: str | Growing, diff_id: str, extraction: Extraction) -> list[Row]:
    if isinstance(blob, Growing):
        return _unpacked(blob.read, diff_id, extraction)
    fd = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _unpacked(partial(os.read, fd), diff_id, extraction)
    finally:
        os.close(fd)


def _unpacked(read: Read, diff_id: str, extraction: Extraction) -> list[Row]:
    umask = os.umask(0)
    try:
        summed = _Summed(decompressed(read))
        # Where nothing is written there is little to do beside, and two threads would only wait for each other.
        with _Ahead(summed) if extraction.files else nullcontext(summed) as chunks:
            stream = Stream(chunks)
            for entry in entries(stream):
                extraction.add(entry, stream)
            stream.drain()
        if summed.digest() != diff_id:
            raise InputError(f"its content is {summed.digest()}, not what it should be")
        rows = extraction.rows()
        extraction.settle(rows)
    finally:
        os.umask(umask)
    return rows


def unarchive(
    source: str | int,
    dest_dir: str,
    disk: Disk,
    *,
    below: Lookup | None = None,
    made_ns: int = 0,
    warn: Callable[[str], None] = _silent,
) -> list[Row] | None:
    """A local archive that ADD names (reference §1.7), extracted below the empty directory `dest_dir`; None when the
    file at `source` (a path or a descriptor) is no archive by content, and nothing was done.

    Its rows, relative to `dest_dir`; directories that it takes for granted are `implied`. `below` tells what the tree
    holds where the archive goes (paths from there), so that these keep owner and mode; missing ones get the
    mtime `made_ns`. `.wh.` names are names. Raises InputError for a damaged archive, HostError for the disk.
    """
    fd = source if isinstance(source, int) else os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    umask = os.umask(0)
    try:
        extraction = Extraction(dest_dir, disk, warn, layer=False, below=below, made_ns=made_ns)
        with _Ahead(decompressed(partial(os.read, fd))) as ahead:
            first = _first_bytes(ahead)
            found = is_tar(first)
            stream = Stream(_chain(first, ahead))
            for entry in entries(stream) if found else ():
                extraction.add(entry, stream)
        if not found:
            os.lseek(fd, 0, os.SEEK_SET)
            return None
        rows = extraction.rows()
        extraction.settle(rows)
    except OSError as error:
        raise _of_system(error, "an archive") from error
    finally:
        os.umask(umask)
        if fd is not source:
            os.close(fd)
    return rows


def _first_bytes(chunks: Iterator[bytes]) -> bytes:
    """At least a header's worth of an archive; what cannot be decompressed is none."""
    first = b""
    try:
        while len(first) < BLOCK_BYTES and (chunk := next(chunks, b"")):
            first += chunk
    except InputError:
        return b""
    return first


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _of_system(error: OSError, what: str) -> InputError | HostError:
    if error.errno in _FAULTS_OF_INPUT:
        return InputError(f"{what} cannot be unpacked: {error.strerror}: {error.filename}")
    where = f": {error.filename}" if error.filename else ""
    return full_store(error) or HostError(f"{what} cannot be unpacked: {error.strerror}{where}")


class _Summed:
    """Chunks that are summed as they go by."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._sum = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self._sum.update(chunk)
        return chunk

    def digest(self) -> str:
        """Of all that went by."""
        return "sha256:" + self._sum.hexdigest()


class _Ahead:
    """Reads chunks a little ahead in a thread of its own, where they are decompressed and summed."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=8)
        self._stop = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        while not self._ended:  # the thread may wait for room in the queue
            self._ended = not isinstance(self._queue.get(), bytes)
        self._thread.join()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        item = self._queue.get()
        if isinstance(item, bytes):
            return item
        self._ended = True
        if item is None:
            raise StopIteration
        raise item

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if self._stop:
                    break
                self._queue.put(chunk)
        except BaseException as error:  # noqa: BLE001 - raised again in __next__
            self._queue.put(error)
        else:
            self._queue.put(None)
