"""Digests of context files by their stamps, so that an unchanged file is not read again. One value a root."""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import time

import msgspec

from jettison.store.index import Index

KEPT_ROOTS = 64


class Stamp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file as stat saw it, and the digest that its content then had. When anything differs, the digest is unknown."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    digest: str


_decoder = msgspec.msgpack.Decoder(dict[str, Stamp])
_encoder = msgspec.msgpack.Encoder()


class Stamps:
    """Stamps by root (a context's absolute path, or any text that names it) and path. The last writer wins."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def load(self, root: str) -> dict[str, Stamp]:
        """All that is known below `root`; {} when nothing is."""
        row = self._index.row("SELECT data FROM stamps WHERE root=?", root)
        if row is None:
            return {}
        try:
            return _decoder.decode(row[0])
        except msgspec.DecodeError:  # of an older form: to be read again
            return {}

    def save(self, root: str, stamps: dict[str, Stamp]) -> None:
        """Replace what is known below `root`; the roots that were longest not saved are forgotten."""
        data = _encode(stamps)
        with self._index.write() as db:
            db.execute("INSERT OR REPLACE INTO stamps VALUES (?,?,?)", (root, data, time.time_ns()))
            db.execute(
                "DELETE FROM stamps WHERE root NOT IN (SELECT root FROM stamps ORDER BY saved_s DESC LIMIT ?)",
                (KEPT_ROOTS,),
            )


def _encode(stamps: dict[str, Stamp]) -> bytes:
    try:
        return _encoder.encode(stamps)
    except UnicodeEncodeError:  # names that are not UTF-8: their files are read every time
        return _encoder.encode({path: stamp for path, stamp in stamps.items() if _is_utf8(path)})


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
