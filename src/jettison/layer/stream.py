"""Bytes that come in chunks, read as an archive needs them: by count, with the place known."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jettison.base.errors import InputError


class Stream:
    """Reads from an iterator of chunks. `offset` counts the bytes taken so far."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0
        self.offset = 0

    def read(self, count: int) -> bytes:
        """`count` bytes, or what is left when the stream ends before. For small counts: all is held in memory."""
        end = self._at + count
        if end <= len(self._chunk):
            data = self._chunk[self._at : end]
            self._at = end
            self.offset += count
            return data
        parts = []
        while count and (part := self._take(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over `count` bytes. Raises InputError when the stream ends before."""
        left = len(self._chunk) - self._at
        while count > left:
            count -= left
            chunk = self._next()
            if chunk is None:
                raise InputError("the archive is cut off")
            left = len(chunk)
        self._at += count
        self.offset += count

    def copy(self, fd: int, count: int) -> None:
        """Write the next `count` bytes to `fd`. Raises InputError when the stream ends before."""
        while count:
            part = self._take(count)
            if not part:
                raise InputError("the archive is cut off")
            count -= len(part)
            while part:
                part = part[os.write(fd, part) :]

    def drain(self) -> None:
        """Read to the end, so that whoever sums the stream has seen it all."""
        while self._next() is not None:
            pass

    def _take(self, count: int) -> memoryview:
        """Some of the next `count` bytes; empty at the end."""
        while self._at == len(self._chunk):
            if self._next() is None:
                return memoryview(b"")
        part = memoryview(self._chunk)[self._at : self._at + count]
        self._at += len(part)
        self.offset += len(part)
        return part

    def _next(self) -> bytes | None:
        """Pass over what is left of the chunk, to the next one; None at the end."""
        self.offset += len(self._chunk) - self._at
        self._chunk, self._at = b"", 0
        chunk = next(self._chunks, None)
        if chunk is not None:
            self._chunk = chunk
        return chunk
