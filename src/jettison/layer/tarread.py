"""Read a tar archive that anyone may have made: ustar, GNU, PAX and what came before, by entry, in bounded memory.

What a header claims is believed nowhere: sums are checked, sizes bounded, names kept as bytes-in-text and judged by
whoever puts them on a disk. What cannot be read raises InputError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from zlib import adler32

import msgspec

from jettison.base.errors import InputError
from jettison.layer.stream import Stream
from jettison.layer.tarsparse import read_gnu_map, read_pax_map
from jettison.layer.tarwrite import BLOCK_BYTES
from jettison.tree.row import BLOCK, CHAR, DIR, FIFO, FILE, SYMLINK

HARD_LINK = "h"
MAX_EXTENSION_BYTES = 1 << 20  # a PAX header or a long name: Go's limit too
_MAX_BYTES = 1 << 62
_MAX_ID = 0xFFFFFFFE  # the one above means: leave it
_MAX_MAJOR, _MAX_MINOR = 0xFFF, 0xFFFFF  # what Linux keeps; it cuts off the rest, and 4096:0 would become 0:0
_MAX_SECONDS = 9_223_372_036
_NS = 1_000_000_000
_ZERO = bytes(BLOCK_BYTES)
_FIELDS = struct.Struct("100s24s12s12s8xc")  # what every entry has: the rest is cut out of the few that have it
_COMMON = struct.Struct("100s24s11sc12s6s2sc")
_COMMON_KINDS = {b"0": FILE, b"5": DIR}
_TARGET, _MAGIC, _MAJOR, _MINOR, _PREFIX = (
    slice(start, end) for start, end in ((157, 257), (257, 265), (329, 337), (337, 345), (345, 500))
)
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"S": FILE, b"1": HARD_LINK, b"2": SYMLINK, b"3": CHAR, b"4": BLOCK}
_KINDS |= {b"5": DIR, b"D": DIR, b"6": FIFO}
_EXTENSIONS = (b"x", b"L", b"K", b"g")
_PASSED_OVER = (b"V", b"X")  # a volume's label; Solaris's own extension
_GNU_MAGIC, _USTAR_MAGIC = b"ustar  \0", b"ustar\x0000"
_XATTR = "SCHILY.xattr."
_SPARSE_PAIR, _SPARSE_MAP = ("GNU.sparse.offset", "GNU.sparse.numbytes"), "GNU.sparse.map"


class Entry(msgspec.Struct):
    """One entry. `name` and `target` are as written (bytes that are not UTF-8 by surrogateescape). `kind` is a row's
    type or HARD_LINK. `size` is what the file has once unpacked; `stored` how many bytes follow in the archive;
    `pieces`, of a sparse file, the (offset, length) where they go.
    """

    name: str
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    stored: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    pieces: tuple[tuple[int, int], ...] | None = None


def entries(stream: Stream) -> Iterator[Entry]:
    """The entries in order. After each, its content may be read from `stream` (`stored` bytes) or left: the rest is
    skipped. The archive ends at two zero blocks, or where the stream ends between entries.
    """
    while True:
        first = stream.read(BLOCK_BYTES)
        entry = _common_entry(first)
        if entry is None:
            block = _checked(stream, first)
            if block is None:
                return
            entry = _read_entry(stream, block)
            if entry is None:
                continue
        end = stream.offset + entry.stored
        yield entry
        stream.skip(end - stream.offset + (-entry.stored % BLOCK_BYTES))


def is_tar(start: bytes) -> bool:
    """Whether `start`, an archive's first bytes (512 at least), begin with a valid header that is not the end."""
    block = start[:BLOCK_BYTES]
    return len(block) == BLOCK_BYTES and block != _ZERO and _sum_is_right(block)


def _common_entry(block: bytes) -> Entry | None:
    """The entry of a header as nearly all are, by few calls: a file's or directory's, all of it in plain fields. None
    for any other, right or wrong.
    """
    if len(block) < BLOCK_BYTES or block[_TARGET.start] or block[_PREFIX.start]:
        return None
    name, ids, size, size_end, mtime, stated, stated_end, flag = _COMMON.unpack_from(block)
    kind = _COMMON_KINDS.get(flag)
    if kind is None or size_end not in b"\0 " or stated_end != b"\0 " or not (size + stated).isdigit():
        return None
    try:
        size_bytes, wanted = int(size, 8), int(stated, 8)
    except ValueError:
        return None
    if wanted != _sum(block):
        return None
    mode, uid, gid = _ids(ids)
    stored = size_bytes if kind == FILE else 0
    return Entry(_cut(name), kind, mode, uid, gid, size_bytes, _nanoseconds(mtime), stored)


def _next_header(stream: Stream) -> bytes | None:
    return _checked(stream, stream.read(BLOCK_BYTES))


def _checked(stream: Stream, block: bytes) -> bytes | None:
    """The block, if it is a header; None where the archive ends."""
    if not block:
        return None
    if len(block) < BLOCK_BYTES:
        raise InputError("the archive is cut off")
    if block == _ZERO:
        second = stream.read(BLOCK_BYTES)
        if second.strip(b"\0"):
            raise InputError("the archive is damaged: something follows its end")
        return None
    if not _sum_is_right(block):
        raise InputError("the archive is damaged: a header's checksum is wrong")
    return block


def _sum_is_right(block: bytes) -> bool:
    stated = block[148:156].strip(b" \0")
    if not stated.isdigit():
        return False
    try:
        wanted = int(stated, 8)
    except ValueError:
        return False
    actual = _sum(block)
    # Some old programs summed signed bytes.
    return wanted == actual or wanted == actual - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _sum(block: bytes) -> int:
    """What a header's checksum is to be."""
    # The sum of up to 256 bytes, by what is quick at it: the lower half of Adler-32 is one more, modulo 65521.
    first, second, third = adler32(block[:148]), adler32(block[156:356]), adler32(block[356:])
    return (first & 0xFFFF) + (second & 0xFFFF) + (third & 0xFFFF) - 3 + 8 * 32


def _read_entry(stream: Stream, block: bytes) -> Entry | None:
    """The entry whose first header is `block`, with what extension headers before it say; None for one to pass over."""
    records: dict[str, bytes] = {}
    long_name = long_target = None
    while (flag := block[156:157]) in _EXTENSIONS:
        if flag == b"x":
            records = _pax_records(_extension(stream, block))
        elif flag == b"L":
            long_name = _cut(_extension(stream, block))
        elif flag == b"K":
            long_target = _cut(_extension(stream, block))
        else:
            _extension(stream, block)  # read over, as Go does: a global size or name would steer what follows
            return None
        following = _next_header(stream)
        if following is None:
            raise InputError("the archive is cut off after an extension header")
        block = following
    if flag in _PASSED_OVER:
        stream.skip(_padded(_number(block[124:136], "size", _MAX_BYTES)))
        return None
    entry = _plain_entry(block, records, long_name, long_target)
    if flag == b"S":
        read_gnu_map(stream, block, entry)
    elif records and any(key.startswith("GNU.sparse.") for key in records):
        read_pax_map(stream, records, entry)
    return entry


def _plain_entry(block: bytes, records: dict[str, bytes], long_name: str | None, long_target: str | None) -> Entry:
    name, ids, size, mtime, flag = _FIELDS.unpack_from(block)
    kind = _KINDS.get(flag)
    if kind is None:
        raise InputError(f"the archive has an entry of unknown type {flag!r}")
    full = _cut(name) if long_name is None else long_name
    if block[_PREFIX.start] and long_name is None and block[_MAGIC] == _USTAR_MAGIC:
        full = f"{_cut(block[_PREFIX])}/{full}"
    entry = Entry(full, kind, *_ids(ids), _number(size, "size", _MAX_BYTES), _nanoseconds(mtime))
    if block[_TARGET.start] or long_target is not None:
        entry.target = _cut(block[_TARGET]) if long_target is None else long_target
    if records:
        _apply(entry, records)
    if flag == b"\0" and entry.name.endswith("/"):
        entry.kind = DIR  # before ustar a directory was told by its name
    if entry.kind == FILE or flag == b"D":  # GNU's D lists what is in the directory
        entry.stored = entry.size
    if kind in (CHAR, BLOCK) and block[_MAGIC] in (_USTAR_MAGIC, _GNU_MAGIC):
        major, minor = _number(block[_MAJOR], "device", _MAX_MAJOR), _number(block[_MINOR], "device", _MAX_MINOR)
        entry.device = (major, minor)
    return entry


@lru_cache(maxsize=256)
def _ids(fields: bytes) -> tuple[int, int, int]:
    """Mode, owner and group, which most entries have in common with others."""
    mode = _number(fields[:8], "mode", _MAX_BYTES) & 0o7777
    return mode, _number(fields[8:16], "uid", _MAX_ID), _number(fields[16:], "gid", _MAX_ID)


def _apply(entry: Entry, records: dict[str, bytes]) -> None:
    """What a PAX header says, in place of the plain fields."""
    xattrs: list[tuple[str, bytes]] = []
    for key, value in records.items():
        if key == "path":
            entry.name = _text(value)
        elif key == "linkpath":
            entry.target = _text(value)
        elif key == "size":
            entry.size = _decimal(value, key, _MAX_BYTES)
        elif key == "uid":
            entry.uid = _decimal(value, key, _MAX_ID)
        elif key == "gid":
            entry.gid = _decimal(value, key, _MAX_ID)
        elif key == "mtime":
            entry.mtime_ns = _pax_time(value)
        elif key.startswith(_XATTR):
            if "\0" in key or len(key) == len(_XATTR):
                raise InputError("the archive is damaged: an attribute has no name")
            xattrs.append((key[len(_XATTR) :], value))
    entry.xattrs = tuple(sorted(xattrs))


def _extension(stream: Stream, block: bytes) -> bytes:
    size = _number(block[124:136], "size", _MAX_BYTES)
    if size > MAX_EXTENSION_BYTES:
        raise InputError(f"the archive has an extension header of {size} bytes")
    data = stream.read(_padded(size))
    if len(data) < _padded(size):
        raise InputError("the archive is cut off")
    return data[:size]


def _pax_records(data: bytes) -> dict[str, bytes]:
    """`LENGTH KEY=VALUE` lines. The last of a key wins; an empty value takes the key back."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        blank = data.find(b" ", at, at + 12)
        length = data[at:blank] if blank > at else b""
        end = at + int(length) if length.isdigit() else -1
        cut = data.find(b"=", blank, end)
        if end > len(data) or cut < 0 or data[end - 1 : end] != b"\n":
            raise InputError("the archive is damaged: a PAX record is malformed")
        key, value = _text(data[blank + 1 : cut], any_bytes=True), data[cut + 1 : end - 1]
        if key in _SPARSE_PAIR and _SPARSE_MAP in records:
            value = records[_SPARSE_MAP] + b"," + value  # the oldest form repeats its keys
        records.pop(key, None)
        if value or key.startswith(_XATTR):
            records[_SPARSE_MAP if key in _SPARSE_PAIR else key] = value
        at = end
    return records


def _text(value: bytes, *, any_bytes: bool = False) -> str:
    if b"\0" in value and not any_bytes:
        raise InputError("the archive is damaged: a name holds a NUL")
    return value.decode("utf-8", "surrogateescape")


def _cut(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return size + (-size % BLOCK_BYTES)


def _number(field: bytes, what: str, limit: int) -> int:
    """An octal field, or a base-256 one as GNU has it for what is large."""
    value = _base256(field) if field[0] & 0x80 else _octal(field)
    if value is None or not 0 <= value <= limit:
        raise InputError(f"the archive is damaged: a {what} is no number")
    return value


def _base256(field: bytes) -> int:
    """Two's complement in what is left of the field after the bit that marks it."""
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") - (1 << bits)
    return value - (1 << bits) if field[0] & 0x40 else value


def _octal(field: bytes) -> int | None:
    text = field.strip(b" \0")
    if not text:
        return 0
    try:
        return int(text, 8) if text.isdigit() else None
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _nanoseconds(field: bytes) -> int:
    value = _base256(field) if field[0] & 0x80 else _octal(field)
    if value is None:
        raise InputError("the archive is damaged: an mtime is no number")
    return value * _NS if abs(value) < _MAX_SECONDS else 0  # no clock says so; Go's readers take it as zero


def _decimal(value: bytes, what: str, limit: int) -> int:
    if not value.isdigit() or len(value) > 20 or int(value) > limit:
        raise InputError(f"the archive is damaged: a {what} is no number")
    return int(value)


def _pax_time(value: bytes) -> int:
    """Decimal seconds with a fraction, exact to the ns."""
    sign = -1 if value.startswith(b"-") else 1
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or (fraction and not fraction.isdigit()):
        raise InputError("the archive is damaged: an mtime is no number")
    seconds = int(whole)
    return sign * (seconds * _NS + int(fraction[:9].ljust(9, b"0"))) if seconds < _MAX_SECONDS else 0
