"""A snapshot as a layer: one streaming pass that writes the tar, compresses it and sums both; of a snapshot that is
there (`pack`), or while it is made (`taped`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import IO

import msgspec

from jettison.base.digest import hex_of
from jettison.base.errors import HostError, full_store, refused
from jettison.layer.press import Press, Pressed
from jettison.layer.tarwrite import END, Entries, Piece, layer_pieces, padding
from jettison.tree.manifest import read_head, read_rows
from jettison.tree.row import Row


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
    with _aside(blobs_dir) as blob, _writing(blobs_dir):
        return blob.named(press_pieces(pieces, files, Press(compression, blob.file)))


class LayerTape:
    """The layer of a snapshot that is being made: a `tree.tape.Tape`."""

    def __init__(self, press: Press, clamp_epoch: int | None, where: str) -> None:
        """`where`, for people, is the layer written."""
        self._press = press
        self._entries = Entries(clamp_epoch)
        self._where = where
        self._padding = 0
        self._is_spoilt = False

    def row(self, row: Row) -> None:
        """See `Tape`."""
        with _writing(self._where):
            self._press.skip(self._padding)
            self._padding = 0
            for piece in self._entries.of(row):
                self._press.write(piece.header)
                self._padding = padding(piece.size)

    def write(self, data: memoryview) -> None:
        """See `Tape`."""
        with _writing(self._where):
            self._press.write(data)

    def spoil(self) -> None:
        """See `Tape`."""
        self._is_spoilt = True

    def finish(self) -> Pressed | None:
        """The layer's sums; None for one that is spoilt, which is then to be packed."""
        if self._is_spoilt:
            self._press.abandon()
            return None
        with _writing(self._where):
            self._press.skip(self._padding)
            self._press.write(END)
            return self._press.finish()


class Taping:
    """What `taped` gives: a tape, and, once its block is left, what came of it."""

    def __init__(self, tape: LayerTape) -> None:
        self.tape = tape
        self.packed: Packed | None = None


@contextmanager
def taped(blobs_dir: str, compression: str = "gzip", clamp_epoch: int | None = None) -> Iterator[Taping]:
    """A tape for a snapshot that is made in the block. `packed` is then what `pack` would give, and the blob lies in
    `blobs_dir` ("" only hashes); None when a file came out otherwise than it was told, so that the snapshot is still to
    be packed. Raises HostError for a full disk; what the block raises leaves nothing.
    """
    with _aside(blobs_dir) if blobs_dir else nullcontext() as blob:
        press = Press(compression, blob.file) if blob is not None else Press("uncompressed", None)
        taping = Taping(LayerTape(press, clamp_epoch, blobs_dir))
        try:
            yield taping
            made = taping.tape.finish()
        except BaseException:
            press.abandon()
            raise
        if made is not None:
            with _writing(blobs_dir):
                taping.packed = _packed(made) if blob is None else blob.named(made)


class _Blob:
    """A blob that is being written beside those that are whole."""

    def __init__(self, directory: str, path: str, file: IO[bytes]) -> None:
        self.file = file
        self._directory = directory
        self._path = path

    def named(self, made: Pressed) -> Packed:
        """It is whole: its name is its digest's."""
        self.file.flush()
        os.fchmod(self.file.fileno(), 0o644)
        os.rename(self._path, os.path.join(self._directory, hex_of(made.digest)))
        return _packed(made)


@contextmanager
def _aside(directory: str) -> Iterator[_Blob]:
    """A blob that is there whole, once it is named, or not at all."""
    path = os.path.join(directory, f".pack-{os.getpid()}-{os.urandom(6).hex()}")
    with _writing(directory):
        file = open(path, "xb")  # noqa: SIM115 - closed below
    try:
        yield _Blob(directory, path, file)
    finally:
        _forget(path)
        with suppress(OSError):  # the disk is full, and has said so
            file.close()


@contextmanager
def _writing(where: str) -> Iterator[None]:
    """A disk's refusals in words. Reading a snapshot raises its own."""
    try:
        yield
    except OSError as error:
        raise full_store(error) or refused(f"cannot write a layer in {where}", error) from error


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
