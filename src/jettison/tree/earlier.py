"""What an earlier copy from the same context left: files whose sources were not touched since are linked from there.

Beside a snapshot that was copied from a user's directory stands `sources`: how each file's source looked when it was
read. Losing it costs time alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

import msgspec

from jettison.tree.row import Row
from jettison.tree.stamp import Stamp, is_settled, stamp_of

_NAME = "sources"
_LENGTH_BYTES = 4


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file as it was copied: the stamp of its source, and what it became."""

    stamp: Stamp
    mode: int
    uid: int
    gid: int
    digest: str


_decoder = msgspec.msgpack.Decoder(dict[str, Source])
_encoder = msgspec.msgpack.Encoder()


class Earlier:
    """The files of an earlier snapshot, by path, with what is known of their sources."""

    def __init__(self, snapshot: str, sources: Mapping[str, Source]) -> None:
        self._files = f"{snapshot}/files"
        self._sources = sources

    def same(self, row: Row, source: str) -> tuple[str, Source] | None:
        """The file of the earlier snapshot that is what `row` would become if it were copied from the file `source` of
        this machine: same bytes and all else. None when that is not certain.
        """
        known = self._sources.get(row.path)
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


def _is_alike(row: Row, known: Source) -> bool:
    size, mtime_ns = known.stamp[:2]
    return (row.size, row.mtime_ns, row.mode, row.uid, row.gid) == (size, mtime_ns, known.mode, known.uid, known.gid)


def find_earlier(snapshots: Iterable[str], root: str) -> Earlier | None:
    """The first of the snapshot directories that was copied from the directory `root`."""
    for snapshot in snapshots:
        sources = _read(f"{snapshot}/{_NAME}", os.fsencode(root))
        if sources is not None:
            return Earlier(snapshot, sources)
    return None


def write_sources(snapshot: str, root: str, taken: Iterable[tuple[Row, Stamp]], began_ns: int) -> None:
    """Write down, beside a new snapshot, the sources of files that were copied from the directory `root` since
    `began_ns`. Of one that changed so lately that its stamp may stay when it changes again nothing is said.
    """
    sources = {
        row.path: Source(stamp, row.mode, row.uid, row.gid, row.digest)
        for row, stamp in taken
        if is_settled(stamp, began_ns)
    }
    try:
        data = _encoder.encode(sources)
    except UnicodeEncodeError:  # names that are not UTF-8: those files are copied every time
        data = _encoder.encode({path: source for path, source in sources.items() if path.isprintable()})
    name = os.fsencode(root)
    with open(f"{snapshot}/{_NAME}", "wb") as file:
        file.writelines((len(name).to_bytes(_LENGTH_BYTES, "big"), name, data))


def _read(path: str, root: bytes) -> dict[str, Source] | None:
    try:
        with open(path, "rb") as file:
            head = len(root).to_bytes(_LENGTH_BYTES, "big") + root
            return _decoder.decode(file.read()) if file.read(len(head)) == head else None
    except (OSError, msgspec.DecodeError):
        return None
