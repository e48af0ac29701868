"""A snapshot as a layer: one streaming pass that writes the tar, compresses it and sums both."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from jettison.base.digest import hex_of
from jettison.base.errors import HostError, refused
from jettison.layer.press import Press, Pressed
from jettison.layer.tarwrite import END, Piece, layer_pieces, padding
from jettison.tree.manifest import read_head, read_rows


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` and `size_bytes` are of the blob ("" and 0 when only hashed); `diff_id` and `tar_bytes` of the tar."""

    diff_id: str
    tar_bytes: int
    digest: str = ""
    size_bytes: int = 0


def pack(snapshot: str, blobs_dir: str, compression: str = "gzip", clamp_epoch: int | None = None) -> Packed:
    """The snapshot as a layer blob in `blobs_dir`, named by the hex of its digest; "" only hashes.

    The blob is written aside and renamed in: it is there whole or not at all. `clamp_epoch` (seconds) limits every
    mtime (rewrite-timestamp). Raises HostError for a damaged snapshot or a full disk.
    """
    foreign = read_head(snapshot).unpacked
    pieces = layer_pieces(read_rows(snapshot), clamp_epoch, foreign=foreign)
    files = os.path.join(snapshot, "files")
    if not blobs_dir:
        return _packed(press_pieces(pieces, files, Press("uncompressed", None)))
    return pack_pieces(pieces, files, blobs_dir, compression)


def pack_pieces(pieces: Iterable[Piece], files: str, blobs_dir: str, compression: str) -> Packed:
    """Headers, and the content of the files below the directory `files`, as a blob in `blobs_dir`. See `pack`."""
    aside = os.path.join(blobs_dir, f".pack-{os.getpid()}-{os.urandom(6).hex()}")
    try:
        with open(aside, "xb") as file:
            made = _packed(press_pieces(pieces, files, Press(compression, file)))
        os.chmod(aside, 0o644)
        os.rename(aside, os.path.join(blobs_dir, hex_of(made.digest)))
    except BaseException as error:
        _forget(aside)
        if isinstance(error, OSError):
            raise refused(f"cannot write a layer in {blobs_dir}", error) from error
        raise
    return made


def _packed(made: Pressed) -> Packed:
    return Packed(diff_id=made.diff_id, tar_bytes=made.tar_bytes, digest=made.digest, size_bytes=made.size_bytes)


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def press_pieces(pieces: Iterable[Piece], files: str, press: Press) -> Pressed:
    """Write headers and the content of the files below the directory `files` into `press`, and finish it."""
    try:
        for piece in pieces:
            press.write(piece.header)
            if piece.path is not None:
                append_file(press, f"{files}/{piece.path}", piece.size)
        press.write(END)
        return press.finish()
    except BaseException:
        press.abandon()
        raise


def append_file(press: Press, path: str, size: int) -> None:
    """Append the `size` bytes of a snapshot's file and its padding. Raises HostError when they are not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"a snapshot is damaged: cannot read {path}: {error.strerror}", hint=_DAMAGED) from error
    try:
        press.read_from(fd, size)
    except EOFError:
        raise HostError(f"a snapshot is damaged: {path} is shorter than {size} bytes", hint=_DAMAGED) from None
    finally:
        os.close(fd)
    press.skip(padding(size))


_DAMAGED = "remove its directory from the store's snapshots, and build again"
