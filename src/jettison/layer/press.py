"""Compress layers: gzip (isal), zstd. Each library is imported where it is wanted: most layers are only summed.

Compressing is deterministic (design: "Compression is deterministic"): the tar is cut at exactly every `PIECE_BYTES`,
and each piece is compressed by an object of its own, so any number of workers gives the same bytes. The golden digests
in the tests hold it: nothing else may call the compressors.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from jettison.base.digest import running
from jettison.base.errors import UsageError

if TYPE_CHECKING:
    import hashlib
    import queue

PIECE_BYTES = 1 << 20
GZIP, ZSTD, UNCOMPRESSED = "gzip", "zstd", "uncompressed"
_GZIP_LEVEL = 1  # the highest whose bytes do not depend on the CPU
_GZIP_LEAD_BYTES = 8
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no flags, mtime 0, no extra flags, OS 255


class Coder:
    """One way to compress: a head; a piece at a time (whether it is the last); and, where there is a tail of a checksum
    and the length, what goes on with the checksum.
    """

    def __init__(
        self,
        name: str,
        head: bytes = b"",
        piece: Callable[[Any, bool], bytes] | None = None,
        crc: Callable[[Any, int], int] | None = None,
    ) -> None:
        self.name = name
        self.head = head
        self.piece = piece
        self.crc = crc


def _gzip() -> Coder:
    from isal import isal_zlib

    def deflate(data: Any, last: bool) -> bytes:
        # ISA-L's main loop hashes, when a stream begins with it, its own address as the third position: a match in some
        # 4,000 streams is then found, or lost, by where memory was free. So a few bytes are compressed first, which its
        # closing loop does, and the main one goes on from there (decision 0006).
        coder = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, -15)
        lead: bytes = coder.compress(data[:_GZIP_LEAD_BYTES]) + coder.flush(isal_zlib.Z_SYNC_FLUSH)
        made: bytes = coder.compress(data[_GZIP_LEAD_BYTES:])
        tail: bytes = coder.flush(isal_zlib.Z_FINISH if last else isal_zlib.Z_FULL_FLUSH)
        return lead + made + tail

    return Coder(GZIP, _GZIP_HEADER, deflate, isal_zlib.crc32)


def _zstd() -> Coder:
    from jettison.layer.zstd import zstd_frame

    return Coder(ZSTD, piece=lambda data, _: zstd_frame(data))


def _plain() -> Coder:
    return Coder(UNCOMPRESSED)


_CODERS: dict[str, Callable[[], Coder]] = {GZIP: _gzip, ZSTD: _zstd, UNCOMPRESSED: _plain}


def coder_of(compression: str) -> Coder:
    """The coder of that name: gzip, zstd or uncompressed. Raises UsageError."""
    if compression not in _CODERS:
        raise UsageError(f"unknown compression: {compression}", hint="use gzip, zstd or uncompressed")
    return _CODERS[compression]()


class Pressed:
    """What came of a stream: `diff_id` and `tar_bytes` of what went in; `digest` and `size_bytes` of what came out
    ("" and 0 when nothing was asked for).
    """

    def __init__(self, diff_id: str, tar_bytes: int, digest: str, size_bytes: int) -> None:
        self.diff_id = diff_id
        self.tar_bytes = tar_bytes
        self.digest = digest
        self.size_bytes = size_bytes


def press_bytes(data: bytes, compression: str = GZIP) -> bytes:
    """A small tar, compressed: the bytes that a blob of it has."""
    import io

    out = io.BytesIO()
    press = Press(compression, out, workers=1)
    press.write(data)
    press.finish()
    return out.getvalue()


class _Output:
    """The end of the line: takes pieces in order, sums them, writes what they became. `file` None only sums."""

    def __init__(self, coder: Coder, file: IO[bytes] | None) -> None:
        self.coder = coder
        self.file = file
        self.tar: hashlib._Hash | None = None  # made with the first piece, which is small when it is the only one
        self.blob: hashlib._Hash | None = None
        self.tar_bytes = 0
        self.size_bytes = len(coder.head)
        self.crc = 0
        if file and coder.head:
            file.write(coder.head)

    def take(self, plain: Any, packed: Callable[[], bytes]) -> None:
        """One piece; `packed` gives its compressed form, and may wait for it."""
        if self.tar is None:
            self.tar = running(expected_bytes=len(plain))
            self.blob = running(self.coder.head, expected_bytes=len(plain))
        self.tar.update(plain)
        self.tar_bytes += len(plain)
        if self.file is None:
            return
        if self.coder.piece is None:
            self.file.write(plain)
            return
        if self.coder.crc is not None:
            self.crc = self.coder.crc(plain, self.crc)
        self._write(packed())

    def _write(self, data: bytes) -> None:
        assert self.file is not None and self.blob is not None  # noqa: S101, PT018 - take() came before
        self.blob.update(data)
        self.size_bytes += len(data)
        self.file.write(data)

    def finish(self) -> Pressed:
        assert self.tar is not None and self.blob is not None  # noqa: S101, PT018 - even an empty tar has an end
        diff_id = "sha256:" + self.tar.hexdigest()
        if self.file is None:
            return Pressed(diff_id, self.tar_bytes, "", 0)
        if self.coder.piece is None:
            return Pressed(diff_id, self.tar_bytes, diff_id, self.tar_bytes)
        if self.coder.crc is not None:
            self._write(self.crc.to_bytes(4, "little") + (self.tar_bytes & 0xFFFFFFFF).to_bytes(4, "little"))
        return Pressed(diff_id, self.tar_bytes, "sha256:" + self.blob.hexdigest(), self.size_bytes)


class _Job:
    """A piece on its way: compressed by a worker, waited for by the output thread."""

    __slots__ = ("done", "error", "last", "packed", "plain")

    def __init__(self, plain: memoryview, last: bool) -> None:
        self.plain = plain
        self.last = last
        self.packed = b""
        self.error: BaseException | None = None
        self.done = threading.Event()

    def result(self) -> bytes:
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.packed


class _Line:
    """The threads: some that compress, one that sums and writes in order. At most `depth` pieces are under way."""

    def __init__(self, output: _Output, workers: int) -> None:
        import queue  # most layers are one piece

        self.output = output
        self.compress = output.coder.piece if output.file is not None else None
        self.todo: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.order: queue.Queue[_Job | None] = queue.Queue(maxsize=2 * workers + 2)
        self.error: BaseException | None = None
        self.workers = [
            threading.Thread(target=self._work, daemon=True) for _ in range(workers if self.compress else 0)
        ]
        self.writer = threading.Thread(target=self._deliver, daemon=True)
        for thread in (*self.workers, self.writer):
            thread.start()

    def put(self, plain: memoryview, last: bool) -> None:
        if self.error is not None:
            raise self.error
        job = _Job(plain, last)
        self.order.put(job)
        if self.compress:
            self.todo.put(job)

    def close(self) -> None:
        """Wait for everything that was put; raises what went wrong on the way."""
        for _ in self.workers:
            self.todo.put(None)
        self.order.put(None)
        for thread in (*self.workers, self.writer):
            thread.join()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        assert self.compress is not None  # noqa: S101 - there are no workers without
        while (job := self.todo.get()) is not None:
            try:
                job.packed = self.compress(job.plain, job.last)
            except BaseException as error:  # noqa: BLE001 - raised again by close()
                job.error = error
            job.done.set()

    def _deliver(self) -> None:
        while (job := self.order.get()) is not None:
            if self.error is not None:
                continue  # the producer must not wait for room that nobody makes
            try:
                self.output.take(job.plain, job.result)
            except BaseException as error:  # noqa: BLE001 - raised again by close()
                self.error = error


class Press:
    """Takes a tar in any cuts and compresses it. `file` None only sums what goes in (`digest` is then "").

    Memory is bounded: a few pieces for each worker. Threads are started for the second piece; most layers are smaller.
    Raises OSError as `file` does. Call `finish` or `abandon` once, whatever happens.
    """

    def __init__(self, compression: str, file: IO[bytes] | None, workers: int | None = None) -> None:
        self._output = _Output(coder_of(compression), file)
        self._workers = workers or min(os.cpu_count() or 1, 8)
        self._line: _Line | None = None
        self._begin(mmap.mmap(-1, PIECE_BYTES))  # most layers are small: of this is only made what is written to

    def _begin(self, zeroed: mmap.mmap | bytearray) -> None:
        self._piece = memoryview(zeroed)  # padding is written by moving on
        self._at = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        end = self._at + len(data)
        if end <= PIECE_BYTES:
            self._piece[self._at : end] = data
            self._at = end
            return
        rest = memoryview(data)
        while rest:
            room = self._room()
            part = rest[:room]
            self._piece[self._at : self._at + len(part)] = part
            self._at += len(part)
            rest = rest[len(part) :]

    def skip(self, count: int) -> None:
        """Append `count` zero bytes."""
        while count:
            step = min(self._room(), count)
            self._at += step
            count -= step

    def read_from(self, fd: int, count: int) -> None:
        """Append exactly `count` bytes from `fd`. Raises EOFError when it ends before."""
        while count:
            room = min(self._room(), count)
            got = os.readv(fd, [self._piece[self._at : self._at + room]])
            if not got:
                raise EOFError
            self._at += got
            count -= got

    def _room(self) -> int:
        """How much fits into the piece; a full one goes its way first, so that the last is never sent too early."""
        if self._at == PIECE_BYTES:
            if self._line is None:
                self._line = _Line(self._output, self._workers)
            self._line.put(self._piece, last=False)
            self._begin(bytearray(PIECE_BYTES))
        return PIECE_BYTES - self._at

    def finish(self) -> Pressed:
        """Compress what is left; the sums of it all."""
        last = self._piece[: self._at]
        if self._line is not None:
            line, self._line = self._line, None
            try:
                line.put(last, last=True)
            finally:
                line.close()
        else:
            self._output.take(last, lambda: self._compress_here(last))
        return self._output.finish()

    def _compress_here(self, last: memoryview) -> bytes:
        piece = self._output.coder.piece
        return piece(last, True) if piece else b""

    def abandon(self) -> None:
        """End the threads; what was written is worth nothing."""
        line, self._line = self._line, None
        if line is not None:
            line.error = line.error or EOFError()
            try:
                line.close()
            except BaseException:  # noqa: BLE001, S110 - the caller is already raising the reason
                pass
