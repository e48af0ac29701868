"""Rows as a tar archive: streaming and deterministic, ustar where it can say a thing, PAX only where it cannot.

Equal rows give equal bytes: no clock, no names of users, mtime in whole seconds, no atime or ctime (mechanisms: a
layer). The bytes of files are not handled here: whoever writes the archive puts them behind their header.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jettison.tree.row import BLOCK, CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)  # two zero blocks: the end of an archive, and all of an empty one
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

_NAME_MAX, _PREFIX_MAX = 100, 155
_ID_MAX, _SIZE_MAX, _DEVICE_MAX = 0o7777777, 0o77777777777, 0o7777777
_KINDS = {FILE: b"0", SYMLINK: b"2", CHAR: b"3", BLOCK: b"4", DIR: b"5", FIFO: b"6"}
_LINK, _PAX = b"1", b"x"
_NS = 1_000_000_000


class Piece(NamedTuple):
    """A header, and the path whose `size` bytes (padded to whole blocks) follow it, or None when nothing does."""

    header: bytes
    path: str | None = None
    size: int = 0


def layer_pieces(
    rows: Iterable[Row], clamp_epoch: int | None = None, *, foreign: bool = False, exact_times: bool = False
) -> Iterator[Piece]:
    """The entries of a layer made of `rows`, which are in `tree.row.order`; see `Entries`. `END` is not among them."""
    entries = Entries(clamp_epoch, foreign=foreign, exact_times=exact_times)
    for row in rows:
        yield from entries.of(row)


class Entries:
    """The entries of a layer's rows, one after the other.

    DELETED rows are whiteouts at the place of the name they hide. `foreign` is for the rows of an unpacked layer, whose
    lower layers nobody knows: there an emptied directory is an opaque mark, and the root's own entry is kept. In our
    own layers the old children are rows, and the root has no entry, as in BuildKit's. `clamp_epoch` (seconds) limits
    every mtime. `exact_times` is for what is no layer: mtimes keep their nanoseconds. Of a hard-link group the first
    path here carries the bytes.
    """

    def __init__(self, clamp_epoch: int | None = None, *, foreign: bool = False, exact_times: bool = False) -> None:
        self._clamp_epoch = clamp_epoch
        self._foreign = foreign
        self._exact_times = exact_times
        self._first_of: dict[str, str] = {}

    def of(self, row: Row) -> list[Piece]:
        """What stands for the next row, in `tree.row.order`."""
        if row.type == DELETED:
            return [Piece(header(_bytes(_whiteout(row.path)), b"0"))]
        found = [self._entry(row)] if row.path or (self._foreign and not row.implied) else []
        if self._foreign and row.opaque:
            found.append(Piece(header(_bytes(f"{row.path}/{OPAQUE}" if row.path else OPAQUE), b"0")))
        return found

    def _entry(self, row: Row) -> Piece:
        mtime = row.mtime_ns // _NS
        fraction = row.mtime_ns % _NS if self._exact_times and mtime >= 0 else 0
        if self._clamp_epoch is not None and mtime > self._clamp_epoch:
            mtime = self._clamp_epoch
        name, ids = _bytes(row.path), (row.mode, row.uid, row.gid)
        if row.link:
            first = self._first_of.setdefault(row.link, row.path)
            if first != row.path:
                return Piece(header(name, _LINK, *ids, 0, mtime, _bytes(first), fraction_ns=fraction))
        if row.type == FILE:
            made = header(name, b"0", *ids, row.size, mtime, xattrs=row.xattrs, fraction_ns=fraction)
            return Piece(made, row.path, row.size) if row.size else Piece(made)
        if row.type == DIR:
            name = name + b"/" if name else b"./"
        kind, link = _KINDS[row.type], _bytes(row.target)
        return Piece(header(name, kind, *ids, 0, mtime, link, row.device, row.xattrs, fraction))


def _whiteout(path: str) -> str:
    parent, slash, name = path.rpartition("/")
    return f"{parent}{slash}{WHITEOUT}{name}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def padding(size: int) -> int:
    """How many zero bytes follow `size` bytes of content."""
    return -size % BLOCK_BYTES


def header(  # noqa: PLR0917 - the fields of a header, in its order; called once a file
    name: bytes,
    kind: bytes,
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    xattrs: tuple[tuple[str, bytes], ...] = (),
    fraction_ns: int = 0,
) -> bytes:
    """One entry's header, with a PAX header before it for what ustar cannot say. `fraction_ns` is added to `mtime`."""
    prefix = b""
    records: list[tuple[bytes, bytes]] = []
    if len(name) > _NAME_MAX or not name.isascii():
        split = _split(name)
        if split:
            prefix, name = split
        else:
            records.append((b"path", name))
            name = name[:_NAME_MAX]
    if len(link) > _NAME_MAX or not link.isascii():
        records.append((b"linkpath", link))
        link = link[:_NAME_MAX]
    if uid > _ID_MAX:
        records.append((b"uid", b"%d" % uid))
        uid = 0
    if gid > _ID_MAX:
        records.append((b"gid", b"%d" % gid))
        gid = 0
    if size > _SIZE_MAX:
        records.append((b"size", b"%d" % size))
        size = 0
    if not 0 <= mtime <= _SIZE_MAX:
        records.append((b"mtime", b"%d" % mtime))
        mtime = 0
    elif fraction_ns:
        records.append((b"mtime", b"%d.%09d" % (mtime, fraction_ns)))
    if xattrs:
        records += [(b"SCHILY.xattr." + _bytes(key), value) for key, value in xattrs]
    main = _ustar(name, kind, mode, uid, gid, size, mtime, link, device, prefix)
    return _pax(name, records) + main if records else main


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """`name` as ustar's prefix and name, cut at the last slash that lets both fit; None when there is none."""
    if not name.isascii() or len(name) > _PREFIX_MAX + 1 + _NAME_MAX:
        return None
    cut = name.rfind(b"/", 0, min(len(name) - 1, _PREFIX_MAX + 1))
    if cut <= 0 or len(name) - cut - 1 > _NAME_MAX:
        return None
    return name[:cut], name[cut + 1 :]


def _ustar(  # noqa: PLR0917 - as above
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    link: bytes,
    device: tuple[int, int],
    prefix: bytes,
) -> bytes:
    if kind in b"34":
        if max(device) > _DEVICE_MAX:
            raise ValueError(f"no tar header can hold device {device[0]}:{device[1]}")
        numbers = b"%07o\0%07o\0" % device
    else:
        numbers = bytes(16)
    start = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME_MAX, b"\0"), mode, uid, gid, size, mtime)
    rest = kind + link.ljust(_NAME_MAX, b"\0") + b"ustar\x0000" + bytes(64) + numbers + prefix.ljust(167, b"\0")
    # The sum is taken with the checksum field full of blanks: 8 * 32.
    return b"%s%06o\0 %s" % (start, sum(start) + 256 + sum(rest), rest)


def _pax(name: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_record(key, value) for key, value in sorted(records))
    # For readers that do not know PAX, and so see it as a file: a name that is short, plain and inside a directory.
    last = bytes(byte if 32 < byte < 127 else 95 for byte in name.rstrip(b"/").rpartition(b"/")[2])
    made = _ustar(b"PaxHeaders.0/" + last[:80], _PAX, 0o644, 0, 0, len(body), 0, b"", (0, 0), b"")
    return made + body + bytes(padding(len(body)))


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE` and a line end, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %s=%s\n" % (length, key, value)
