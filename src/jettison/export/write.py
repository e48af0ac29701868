"""Put the parts of an exported image into a directory or a tar: aside first, then renamed, so that nothing partial ever
looks whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import IO

import msgspec

from jettison.base.errors import HostError, refused
from jettison.layer.tarwrite import END, header, padding

_COPY_BYTES = 1 << 20


class Blob(msgspec.Struct, frozen=True):
    """Bytes that lie in a file: `size` is what they must be."""

    path: str
    size: int


Parts = Mapping[str, bytes | Blob]  # by path inside the export


def write_tar(parts: Parts, dest: str | int) -> None:
    """All parts as a tar with fixed metadata, in order of name, at the path `dest` or into an open descriptor.

    Raises HostError; an existing regular file at `dest` is then untouched.
    """
    if isinstance(dest, int):
        with os.fdopen(os.dup(dest), "wb") as file:
            _guarded(lambda: _tar(parts, file), f"descriptor {dest}")
        return
    if os.path.exists(dest) and not os.path.isfile(dest):
        if os.path.isdir(dest):
            raise HostError(f"cannot write {dest}: it is a directory", hint="name a file, or ask for a directory")
        with open(dest, "wb") as file:  # a pipe or a terminal
            _guarded(lambda: _tar(parts, file), dest)
        return
    aside = aside_of(dest)
    try:
        _guarded(lambda: _tar_file(parts, aside, dest), dest)
    finally:
        forget(aside)


def _tar_file(parts: Parts, aside: str, dest: str) -> None:
    os.makedirs(os.path.dirname(os.path.abspath(dest)), exist_ok=True)
    with open(aside, "xb") as file:
        _tar(parts, file)
    os.replace(aside, dest)


def _tar(parts: Parts, file: IO[bytes]) -> None:
    for directory in sorted({parent for name in parts for parent in _parents(name)}):
        file.write(header(f"{directory}/".encode(), b"5", 0o755))
    for name in sorted(parts):
        part = parts[name]
        size = len(part) if isinstance(part, bytes) else part.size
        file.write(header(name.encode(), b"0", 0o644, size=size))
        _copy(part, file)
        file.write(bytes(padding(size)))
    file.write(END)
    file.flush()


def _parents(name: str) -> list[str]:
    pieces = name.split("/")[:-1]
    return ["/".join(pieces[: count + 1]) for count in range(len(pieces))]


def write_directory(parts: Parts, dest: str, last: tuple[str, ...] = ()) -> None:
    """All parts as files below `dest`. What is named in `last` makes it whole, and is put there last, by renaming.

    A new directory is made aside and renamed in; an existing one is added to. Blobs are copied, never linked: what a
    user does to an export must not reach the store. Raises HostError.
    """
    if os.path.lexists(dest):
        _guarded(lambda: _fill(parts, dest, last), dest)
        return
    aside = aside_of(dest)
    try:
        _guarded(lambda: _new_directory(parts, aside, dest, last), dest)
    finally:
        forget(aside)


def _new_directory(parts: Parts, aside: str, dest: str, last: tuple[str, ...]) -> None:
    os.makedirs(os.path.dirname(os.path.abspath(dest)), exist_ok=True)
    os.mkdir(aside)
    _fill(parts, aside, last)
    os.rename(aside, dest)


def _fill(parts: Parts, dest: str, last: tuple[str, ...]) -> None:
    for name in (*sorted(set(parts) - set(last)), *last):
        path = os.path.join(dest, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = parts[name]
        aside = aside_of(path)
        try:
            with open(aside, "xb") as file:
                _copy(part, file)
            os.replace(aside, path)
        finally:
            forget(aside)


def _copy(part: bytes | Blob, file: IO[bytes]) -> None:
    if isinstance(part, bytes):
        file.write(part)
        return
    left = part.size
    with open(part.path, "rb", buffering=0) as source:
        while data := source.read(_COPY_BYTES):
            left -= len(data)
            file.write(data)
    if left:
        raise HostError(
            f"the blob {part.path} is not {part.size} bytes long",
            hint="the store is damaged: remove the file, and build again",
        )


def aside_of(path: str) -> str:
    """A name beside `path` that nobody else uses."""
    head, tail = os.path.split(os.path.abspath(path))
    return os.path.join(head, f".{tail}.{os.getpid()}-{os.urandom(4).hex()}")


def forget(path: str) -> None:
    """Remove what may be left at a name of `aside_of`."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        import shutil

        shutil.rmtree(path, ignore_errors=True)


def _guarded(action: Callable[[], None], dest: str) -> None:
    try:
        action()
    except BrokenPipeError:
        raise  # whoever read it has gone
    except OSError as error:
        raise refused(f"cannot write {dest}", error) from error
