"""What an earlier copy from the same context left: files whose sources were not touched since are linked from there.

Beside a snapshot that was copied from a user's directory stands `sources`: how each file's source looked when it was
read. Losing it costs time alone.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator

import msgspec

from jettison.tree.row import Row, order
from jettison.tree.stamp import Stamp, is_settled, stamp_of

_NAME = "sources"
_LENGTH_BYTES = 4
_BLOCK_FILES = 512  # are read, and held, at a time
_LONGEST_BYTES = 1 << 24  # of a block: names have 4096 bytes at most


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file as it was copied: its path in the snapshot, the stamp of its source, and what it became."""

    path: str
    stamp: Stamp
    mode: int
    uid: int
    gid: int
    digest: str


_decoder = msgspec.msgpack.Decoder(list[Source])
_encoder = msgspec.msgpack.Encoder()


class Earlier:
    """The files of an earlier snapshot, with what is known of their sources. To be asked in `tree.row.order`."""

    def __init__(self, snapshot: str, blocks: Iterator[list[Source]]) -> None:
        self._files = f"{snapshot}/files"
        self._sources = itertools.chain.from_iterable(blocks)
        self._next: Source | None = next(self._sources, None)

    def same(self, row: Row, source: str) -> tuple[str, Source] | None:
        """The file of the earlier snapshot that is what `row` would become if it were copied from the file `source` of
        this machine: same bytes and all else. None when that is not certain.
        """
        known = self._find(row.path)
        if known is None or not _is_alike(row, known):
            return None
        at = f"{self._files}/{row.path}"
        try:
            if stamp_of(os.lstat(source)) != known.stamp:
                return None
            left = os.lstat(at)
        except OSError:
            return None
        return (at, known) if stat.S_ISREG(left.st_mode) and left.st_size == row.size else None

    def _find(self, path: str) -> Source | None:
        """The source at `path`; those before it are never asked for again."""
        wanted = order(path)
        while self._next is not None and order(self._next.path) < wanted:
            self._next = next(self._sources, None)
        return self._next if self._next is not None and self._next.path == path else None


def _is_alike(row: Row, known: Source) -> bool:
    size, mtime_ns = known.stamp[:2]
    return (row.size, row.mtime_ns, row.mode, row.uid, row.gid) == (size, mtime_ns, known.mode, known.uid, known.gid)


def find_earlier(snapshots: Iterable[str], root: str) -> Earlier | None:
    """The first of the snapshot directories that was copied from the directory `root`."""
    for snapshot in snapshots:
        blocks = _read(f"{snapshot}/{_NAME}", os.fsencode(root))
        if blocks is not None:
            return Earlier(snapshot, blocks)
    return None


def write_sources(snapshot: str, root: str, taken: Iterable[tuple[Row, Stamp]], began_ns: int) -> None:
    """Write down, beside a new snapshot, the sources of files that were copied from the directory `root` since
    `began_ns`, in `tree.row.order`. Of one that changed so lately that its stamp may stay when it changes again nothing
    is said, nor of a name that is not UTF-8: such are copied every time.
    """
    sources = (
        Source(row.path, stamp, row.mode, row.uid, row.gid, row.digest)
        for row, stamp in taken
        if is_settled(stamp, began_ns) and _is_utf8(row.path)
    )
    name = os.fsencode(root)
    with open(f"{snapshot}/{_NAME}", "wb") as file:
        file.writelines(_framed(name))
        while block := list(itertools.islice(sources, _BLOCK_FILES)):
            file.writelines(_framed(_encoder.encode(block)))


def _framed(data: bytes) -> tuple[bytes, bytes]:
    return len(data).to_bytes(_LENGTH_BYTES, "big"), data


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(path: str, root: bytes) -> Iterator[list[Source]] | None:
    """The blocks of a file that was written of `root`; None of another, or of none."""
    head = b"".join(_framed(root))
    try:
        with open(path, "rb", buffering=0) as file:
            return _blocks(path, len(head)) if file.read(len(head)) == head else None
    except OSError:
        return None


def _blocks(path: str, at: int) -> Iterator[list[Source]]:
    """What follows. Whatever is damaged ends it: the rest is copied."""
    try:
        with open(path, "rb", buffering=0) as file:
            fd = file.fileno()  # processes that are forked meanwhile share it: each knows its own place
            while 0 < (length := int.from_bytes(os.pread(fd, _LENGTH_BYTES, at), "big")) < _LONGEST_BYTES:
                yield _decoder.decode(os.pread(fd, length, at + _LENGTH_BYTES))
                at += _LENGTH_BYTES + length
    except (OSError, msgspec.DecodeError):
        return
