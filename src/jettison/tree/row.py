"""A row: one path of a tree as a value. What manifests, views, keys and layers are made of (mechanisms: a snapshot)."""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import msgspec

FILE = "f"
DIR = "d"
SYMLINK = "l"
CHAR = "c"
BLOCK = "b"
FIFO = "p"
DELETED = "-"


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One changed (or looked-up) path.

    `path` is relative to the root, without a leading slash; the root itself is "". Bytes that are not UTF-8 are kept
    by surrogateescape. `mode` is the permission bits (07777). `mtime_ns` is ns since the epoch. `device` is
    (major, minor). `link` names the first path, in order, of the row's hard-link group ("" when it is alone; the first
    one names itself). `opaque`: a directory below which nothing of the lower layers shows. `implied`: an unchanged
    ancestor directory, there so that a layer can be written from the manifest alone. `digest` is of the content, ""
    until it was needed.
    """

    path: str
    type: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    link: str = ""
    opaque: bool = False
    implied: bool = False
    digest: str = ""


def with_digest(row: Row, digest: str, size: int | None = None) -> Row:
    """The row with the digest of its content, and its size where that was not what it was thought to be."""
    return Row(
        row.path,
        row.type,
        row.mode,
        row.uid,
        row.gid,
        row.size if size is None else size,
        row.mtime_ns,
        row.target,
        row.device,
        row.xattrs,
        row.link,
        row.opaque,
        row.implied,
        digest,
    )


def order(path: str) -> str:
    """The sort key of paths: a directory stands before its children, and its children before its later siblings."""
    return path.replace("/", "\0")
