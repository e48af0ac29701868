"""Sparse files in archives: GNU tar's old headers, and the three forms it has in PAX (0.0, 0.1, 1.0).

A map is a claim like any other: pieces must be in order, apart, inside the file, and as long together as what follows.
"""

from __future__ import annotations

from typing import Protocol

from jettison.base.errors import InputError
from jettison.layer.stream import Stream
from jettison.layer.tarwrite import BLOCK_BYTES

MAX_SPARSE_BYTES = 1 << 40  # what a hole may claim; reading it back means reading zeros
MAX_PIECES = 1 << 16


class Sparse(Protocol):
    """What is filled in of an entry."""

    name: str
    size: int
    stored: int
    pieces: tuple[tuple[int, int], ...] | None


def read_gnu_map(stream: Stream, block: bytes, entry: Sparse) -> None:
    """The map in a header of type S and the blocks that go on with it."""
    real_size = _octal(block[483:495])
    numbers = _pairs(block[386:482])
    extended = block[482]
    while extended:
        more = stream.read(BLOCK_BYTES)
        if len(more) < BLOCK_BYTES or len(numbers) > 2 * MAX_PIECES:
            raise InputError("the archive is damaged: a sparse file's map has no end")
        numbers += _pairs(more[:504])
        extended = more[504]
    _settle(entry, numbers, real_size)


def read_pax_map(stream: Stream, records: dict[str, bytes], entry: Sparse) -> None:
    """The map in a PAX header's records (0.0, 0.1) or before the content (1.0)."""
    if (name := records.get("GNU.sparse.name")) and b"\0" not in name:
        entry.name = name.decode("utf-8", "surrogateescape")
    real_size = _decimal(records.get("GNU.sparse.realsize") or records.get("GNU.sparse.size") or b"")
    if records.get("GNU.sparse.major") == b"1":
        before = stream.offset
        numbers = _leading_map(stream)
        entry.stored -= stream.offset - before
    else:
        text = records.get("GNU.sparse.map", b"")
        numbers = [_decimal(part) for part in text.split(b",")] if text else []
    _settle(entry, numbers, real_size)


def _leading_map(stream: Stream) -> list[int]:
    """Decimal numbers, one a line, in whole blocks: how many pieces, then offset and length of each."""
    numbers: list[int] = []
    rest = b""
    wanted = 1
    while len(numbers) < wanted:
        block = stream.read(BLOCK_BYTES)
        *lines, rest = (rest + block).split(b"\n")
        if len(block) < BLOCK_BYTES or len(rest) > BLOCK_BYTES:
            raise InputError("the archive is damaged: a sparse file's map has no end")
        numbers += [_decimal(line) for line in lines[: wanted - len(numbers)]]
        if wanted == 1 and numbers:
            if numbers[0] > MAX_PIECES:
                raise InputError(f"the archive has a sparse file of {numbers[0]} pieces")
            wanted += 2 * numbers[0]
            numbers += [_decimal(line) for line in lines[1:wanted]]
    return numbers[1:]


def _settle(entry: Sparse, numbers: list[int], real_size: int) -> None:
    pieces = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers) - 1, 2)]
    at = total = 0
    for offset, length in pieces:
        if offset < at:
            raise InputError("the archive is damaged: a sparse file's pieces overlap")
        at = offset + length
        total += length
    if len(numbers) % 2 or at > real_size or total != entry.stored:
        raise InputError("the archive is damaged: a sparse file's map does not fit its content")
    if real_size > MAX_SPARSE_BYTES:
        raise InputError(f"the archive has a sparse file that claims {real_size} bytes")
    entry.size = real_size
    entry.pieces = tuple(piece for piece in pieces if piece[1])


def _pairs(table: bytes) -> list[int]:
    numbers: list[int] = []
    for at in range(0, len(table) - 23, 24):
        if not table[at]:
            break
        numbers += (_octal(table[at : at + 12]), _octal(table[at + 12 : at + 24]))
    return numbers


def _octal(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << (8 * len(field) - 2)) - 1)
    text = field.strip(b" \0")
    try:
        return int(text or b"0", 8)
    except ValueError:
        raise InputError("the archive is damaged: a sparse file's map is no number") from None


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise InputError("the archive is damaged: a sparse file's map is no number")
    return int(text)
