"""What an archive or layer was compressed with is told by its first bytes; reading it takes bounded memory.

A stream may be a bomb: no call here gives more than `CHUNK_BYTES` at once, so whoever reads can stop at any time.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import Any

from isal import igzip_lib

from jettison.base.errors import InputError
from jettison.layer.zstd import ZstdError, zstd_decoder

Read = Callable[[int], bytes]

CHUNK_BYTES = 1 << 17  # little enough to be summed and read while the processor still has it at hand
_READ_BYTES = 1 << 17
_KEPT_BYTES = 4 << 20
_MAGIC_BYTES = 8  # that tell the formats apart
_XZ_MEMORY_BYTES = 256 << 20  # xz -9 needs 65 MiB; a header may ask for 4 GiB


_FORMATS: tuple[tuple[str, bytes, Callable[[], Any]], ...] = (
    ("gzip", b"\x1f\x8b", lambda: igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)),
    ("zstd", b"\x28\xb5\x2f\xfd", zstd_decoder),
    ("bzip2", b"BZh", bz2.BZ2Decompressor),
    ("xz", b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)),
)
_isal_error: Any = igzip_lib.error  # its stub says that it is an instance
_FAULTS = (_isal_error, ZstdError, lzma.LZMAError, OSError, EOFError, ValueError)


def format_of(start: bytes) -> str:
    """gzip, zstd, bzip2, xz, or "" for anything else, by the first bytes."""
    for name, magic, _ in _FORMATS:
        if start.startswith(magic):
            return name
    if len(start) >= 4 and start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50:
        return "zstd"  # a skippable frame comes first
    return ""


def decompressed(read: Read) -> Iterator[bytes]:
    """The uncompressed bytes of what `read` gives (up to so many bytes, b"" at the end), in pieces of at most
    `CHUNK_BYTES`. Raises InputError for a damaged or cut-off stream, and whatever `read` does.
    """
    _keep_freed_memory()
    start = read(_READ_BYTES)
    while 0 < len(start) < _MAGIC_BYTES and (more := read(_READ_BYTES)):  # a file that grows gives what it has
        start += more
    name = format_of(start)
    if name:
        make = next(make for known, _, make in _FORMATS if known == name)
        yield from _frames(read, start, name, make)
        return
    while start:
        yield start
        start = read(CHUNK_BYTES)


def _keep_freed_memory() -> None:
    """Have glibc keep twice as much freed memory as is freed here, none of which was touched. Else it may give pages
    back with each piece that was read and take new ones for the next, thousands of times.
    """
    bytes(_KEPT_BYTES)


def _frames(read: Read, data: bytes, name: str, make: Callable[[], Any]) -> Iterator[bytes]:
    """Frame after frame: all of these formats allow it. Zero bytes after the last are padding, as programs have it."""
    while data:
        decoder = make()
        yield from _frame(read, data, name, decoder)
        data = decoder.unused_data or read(_READ_BYTES)
        if not data.startswith(b"\0"):
            continue
        while data:
            if data.strip(b"\0"):
                raise InputError(f"the {name} data is followed by something else")
            data = read(_READ_BYTES)


def _frame(read: Read, data: bytes, name: str, decoder: Any) -> Iterator[bytes]:
    while True:
        try:
            out = decoder.decompress(data, CHUNK_BYTES)
        except _FAULTS as error:
            raise InputError(f"the {name} data is damaged: {error}") from error
        if out:
            yield out
        if decoder.eof:
            return
        wants_more = decoder.needs_input and len(out) < CHUNK_BYTES  # older isals forget what did not fit
        data = read(_READ_BYTES) if wants_more else b""
        if not data and wants_more:
            raise InputError(f"the {name} data is cut off")
