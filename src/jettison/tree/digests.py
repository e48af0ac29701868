"""Digests of files: reading them, and remembering them beside a snapshot, whose files never change."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import msgspec

from jettison.base.digest import EMPTY_SHA256, running
from jettison.base.errors import InternalError
from jettison.tree.view import View

LARGE_BYTES = 4 << 20  # from here on a file is worth a thread: hashing leaves the interpreter's lock
_THREADS = 4
_PIECE_BYTES = 1 << 18
_NAME = "digests"

_decoder = msgspec.msgpack.Decoder(dict[str, str])
_encoder = msgspec.msgpack.Encoder()


def hash_file(view: View, path: str) -> str:
    """The digest of the bytes of the file at `path`. Raises what `View.open` does, and OSError."""
    fd = view.open(path)
    try:
        return _hash(fd)
    finally:
        os.close(fd)


def hash_files(view: View, paths: Sequence[str]) -> list[str]:
    """The digests of large files, a few at a time in threads."""
    found: list[str] = []
    for start in range(0, len(paths), _THREADS):
        fds = [view.open(path) for path in paths[start : start + _THREADS]]
        try:
            found += _hash_together(fds)
        finally:
            for fd in fds:
                os.close(fd)
    return found


def _hash_together(fds: list[int]) -> list[str]:
    found = [""] * len(fds)
    failures: list[OSError] = []

    def work(number: int) -> None:
        try:
            found[number] = _hash(fds[number])
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, len(fds))]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    if not all(found):
        raise InternalError("a file was not hashed")
    return found


def _hash(fd: int) -> str:
    data = os.read(fd, _PIECE_BYTES)
    if not data:
        return EMPTY_SHA256
    summed = running(data, expected_bytes=len(data))
    while data := os.read(fd, _PIECE_BYTES):
        summed.update(data)
    return "sha256:" + summed.hexdigest()


class SnapshotDigests:
    """Digests of a snapshot's files by path, in a file beside its manifest. Losing it costs time alone."""

    def __init__(self, snapshot: str) -> None:
        self._path = f"{snapshot}/{_NAME}"
        self._known = _load(self._path)
        self._learnt = False

    def get(self, path: str) -> str | None:
        """The digest of the file at `path`, if it was ever needed."""
        return self._known.get(path)

    def put(self, path: str, digest: str) -> None:
        """Remember it; `save` writes it down."""
        self._known[path] = digest
        self._learnt = True

    def save(self) -> None:
        """Write down what was learnt. When several do so at once, the last one wins; what cannot be written is lost."""
        if not self._learnt:
            return
        aside = f"{self._path}.{os.getpid()}.{threading.get_ident()}~"
        try:
            # A name that is not UTF-8 cannot be encoded: its file is read again when it is needed again.
            data = _encoder.encode({path: digest for path, digest in self._known.items() if path.isprintable()})
            with open(aside, "wb") as file:
                file.write(data)
            os.rename(aside, self._path)
        except OSError:
            _forget(aside)
        self._learnt = False


def _load(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            return _decoder.decode(file.read())
    except (OSError, msgspec.DecodeError):
        return {}


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
