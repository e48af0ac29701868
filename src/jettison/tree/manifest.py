"""A snapshot's head and manifest on disk (mechanisms: a snapshot). Written once and atomically, checked when read.

The manifest is a magic, a flag byte, the SHA-256 of the rest, and the rows as one msgpack array. Names that are not
UTF-8 are held as latin-1 behind a NUL, which no name can hold; the flag says whether there are any.
"""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import os
from collections.abc import Callable, Iterable
from typing import IO

import msgspec

from jettison.base.digest import running
from jettison.base.errors import HostError, InternalError, full_store
from jettison.base.versions import STORE_VERSION
from jettison.tree.row import BLOCK, CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row, order

_MAGIC = b"JTSM1"
_PLAIN, _ESCAPED = b"\0", b"\1"
_HEADER_BYTES = len(_MAGIC) + 1 + 32
_ROWS_AT_ONCE = 1024
_ROW_BYTES = 200  # most likely
_TYPES = frozenset((FILE, DIR, SYMLINK, CHAR, BLOCK, FIFO, DELETED))

IdMap = tuple[tuple[int, int, int], ...]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is, beside its rows.

    `tier` and the id maps (inside, outside, count) say who wrote `files/`; empty maps: the ids on disk are the ids.
    `files` False: there are rows and no bytes. `unpacked`: a layer that was not made here. `alone`: it was made on
    nothing, and what it implies of the root says nothing of any. `created_s` is seconds since the epoch.
    """

    store_version: int = STORE_VERSION
    tier: str = ""
    uid_map: IdMap = ()
    gid_map: IdMap = ()
    created_s: int = 0
    files: bool = True
    unpacked: bool = False
    alone: bool = False


_rows_encoder = msgspec.msgpack.Encoder()
_rows_decoder = msgspec.msgpack.Decoder(list[Row])
_row_decoder = msgspec.msgpack.Decoder(Row)
_ROW_START = _rows_encoder.encode(Row("", FILE)).partition(_rows_encoder.encode(""))[0]  # of an array of so many values
_head_decoder = msgspec.json.Decoder(Head)


def write_head(snapshot: str, head: Head) -> None:
    """Put `head` into the directory `snapshot`; it is there whole or not at all. Raises HostError."""
    data = msgspec.json.encode(msgspec.structs.replace(head, store_version=STORE_VERSION))
    _write_aside(f"{snapshot}/head", lambda file: file.write(data))


def read_head(snapshot: str) -> Head:
    """The head of the snapshot in that directory. Raises HostError for a missing, damaged or newer one."""
    path = f"{snapshot}/head"
    try:
        head = _head_decoder.decode(_read(path))
    except msgspec.DecodeError as error:
        raise _damaged(path, f"{path}: {error}") from None
    if head.store_version > STORE_VERSION:
        hint = "upgrade jettison, or set JETTISON_HOME to a store of its own"
        raise HostError(
            f"{path} is of store version {head.store_version}; this jettison knows {STORE_VERSION}", hint=hint
        )
    return head


def write_rows(snapshot: str, rows: Iterable[Row]) -> list[Row]:
    """Put the manifest of `rows` into the directory `snapshot`, whole or not at all.

    They are brought in `tree.row.order`, and returned so. Raises HostError for the disk, and InternalError for rows
    that no manifest may hold (a path that is absolute, holds `..` or a NUL, or is there twice): whoever read them must
    have refused them.
    """
    ordered = sorted(rows, key=lambda row: order(row.path))
    fault = _fault(ordered)
    if fault:
        raise InternalError(f"a manifest is to be written that {fault}")
    try:
        _write_aside(f"{snapshot}/manifest", lambda file: _write_manifest(file, _PLAIN, ordered))
    except UnicodeEncodeError:
        escaped = [_escaped(row) for row in ordered]
        _write_aside(f"{snapshot}/manifest", lambda file: _write_manifest(file, _ESCAPED, escaped))
    return ordered


def _write_manifest(file: IO[bytes], flag: bytes, rows: list[Row]) -> None:
    """The whole file, of which little is in memory at a time; its sum stands before what it is of."""
    body = _array_header(len(rows))
    summed = running(body, expected_bytes=len(rows) * _ROW_BYTES)
    file.seek(_HEADER_BYTES)
    file.write(body)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        body = b"".join(map(_rows_encoder.encode, rows[start : start + _ROWS_AT_ONCE]))
        summed.update(body)
        file.write(body)
    file.seek(0)
    file.write(_MAGIC + flag + summed.digest())


def _array_header(count: int) -> bytes:
    """The beginning of a msgpack array of so many values, in its shortest form."""
    if count < 16:
        return bytes((0x90 | count,))
    return b"\xdc" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdd" + count.to_bytes(4, "big")


class Manifest:
    """A manifest whose sum was right. Its rows are decoded by `rows`; of a large one, what holds for few paths is known
    without that.
    """

    def __init__(self, path: str, data: bytes, *, escaped: bool) -> None:
        self._path = path
        self._data = data
        self._escaped = escaped
        self.count, self._start = _read_array_header(data)
        self._searchable = not escaped and data.startswith(_ROW_START, self._start)  # as we write rows now

    def rows(self) -> list[Row]:
        """All rows, in `tree.row.order`. Raises HostError for what no manifest may hold."""
        try:
            rows = _rows_decoder.decode(memoryview(self._data)[_HEADER_BYTES:])
        except msgspec.DecodeError as error:
            raise _damaged(self._path, f"{self._path}: {error}") from None
        if self._escaped:
            rows = [_unescaped(row) for row in rows]
        fault = _fault(rows)
        if fault:
            raise _damaged(self._path, f"{self._path} {fault}")
        return rows

    def lacks(self, path: str) -> bool:
        """Whether no row is of `path`, told by a search for its bytes. False says nothing."""
        try:
            return self._searchable and self._data.find(_row_start(path), self._start) < 0
        except UnicodeEncodeError:
            return True  # nothing in it is escaped

    def root(self) -> Row | None:
        """The row of the root, which stands first; None where there is none."""
        if self._searchable and not self._data.startswith(_row_start(""), self._start):
            return None
        end = self._start
        while self._searchable and (end := self._data.find(_ROW_START, end + 1)) > 0:
            try:
                return _row_decoder.decode(memoryview(self._data)[self._start : end])
            except msgspec.DecodeError:  # a row's beginning within a row: no value is the beginning of another one
                continue
        return next((row for row in self.rows()[:1] if not row.path), None)


def read_manifest(snapshot: str) -> Manifest:
    """The manifest of the snapshot in that directory. Raises HostError for a missing, damaged one."""
    path = f"{snapshot}/manifest"
    data = _read(path)
    body = memoryview(data)[_HEADER_BYTES:]
    flag = data[len(_MAGIC) : len(_MAGIC) + 1]
    if not data.startswith(_MAGIC) or flag not in (_PLAIN, _ESCAPED):
        raise _damaged(path, f"{path} is no manifest")
    if running(body, expected_bytes=len(body)).digest() != data[len(_MAGIC) + 1 : _HEADER_BYTES]:
        raise _damaged(path, f"{path} is not what was written")
    return Manifest(path, data, escaped=flag == _ESCAPED)


def read_rows(snapshot: str) -> list[Row]:
    """The rows of the snapshot in that directory, in `tree.row.order`. Raises HostError for a missing, damaged one."""
    return read_manifest(snapshot).rows()


def _read_array_header(data: bytes) -> tuple[int, int]:
    """How many values the array has, and where the first begins: as `_array_header` writes it."""
    mark = data[_HEADER_BYTES : _HEADER_BYTES + 1]
    size = {b"\xdc": 2, b"\xdd": 4}.get(mark, 0)
    start = _HEADER_BYTES + 1 + size
    count = int.from_bytes(data[_HEADER_BYTES + 1 : start], "big") if size else (mark or b"\0")[0] & 0xF
    return count, start


def _row_start(path: str) -> bytes:
    """How the row of `path` begins. Raises UnicodeEncodeError for one that is not UTF-8."""
    return _ROW_START + _rows_encoder.encode(path)


def _fault(rows: list[Row]) -> str:
    """What is wrong with rows in order, "" when nothing is. Told by few scans of one text: manifests are large."""
    paths = [row.path for row in rows]
    if len(set(paths)) != len(paths):
        return "holds a path twice"
    if not {row.type for row in rows} <= _TYPES:
        return "holds a row of an unknown type"
    if paths and not paths[0]:
        del paths[0]
    text = "/" + "/\0/".join(paths) + "/" if paths else ""
    if text.count("\0") != max(0, len(paths) - 1):
        return "holds a path with a NUL"
    if "//" in text or "/./" in text or "/../" in text:
        return "holds a path that is not clean"
    return ""


def _escaped(row: Row) -> Row:
    return msgspec.structs.replace(
        row,
        path=_escape(row.path),
        target=_escape(row.target),
        link=_escape(row.link),
        xattrs=tuple((_escape(key), value) for key, value in row.xattrs),
    )


def _unescaped(row: Row) -> Row:
    return msgspec.structs.replace(
        row,
        path=_unescape(row.path),
        target=_unescape(row.target),
        link=_unescape(row.link),
        xattrs=tuple((_unescape(key), value) for key, value in row.xattrs),
    )


def _escape(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "\0" + text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def _unescape(text: str) -> str:
    if not text.startswith("\0"):
        return text
    try:
        return text[1:].encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text  # not written by us: `_fault` refuses the NUL


def _damaged(path: str, what: str) -> HostError:
    return HostError(f"a snapshot is damaged: {what}", hint=f"remove {os.path.dirname(path)}, and build again")


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        raise _damaged(path, f"cannot read {path}: {error.strerror}") from error


def _write_aside(path: str, write: Callable[[IO[bytes]], object]) -> None:
    aside = f"{path}.{os.getpid()}~"
    try:
        with open(aside, "wb") as file:
            write(file)
        os.rename(aside, path)
    except OSError as error:
        raise full_store(error) or HostError(f"cannot write {path}: {error.strerror}") from error
