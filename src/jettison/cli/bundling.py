"""Writes the bundle (`bundle`), at the end of a command that imported what the file does not have.

It takes what was imported, by a keeper, too, and what the file has and is still true: after a few runs the file
has what its user's commands need, and none of them writes any more. Code comes from .pyc files alone, and only from
those that are true of their source: what Python would read itself.
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
import time
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from typing import Any

from jettison.cli.bundle import (
    HEAD,
    HEAD_BYTES,
    NUMBER_BYTES,
    Bundle,
    Row,
    checksum_of,
    is_true,
    read_body,
    read_rows,
    surroundings,
)
from jettison.cli.bundle import Loader as BundleLoader

MOST_BYTES = 32 << 20
_KEEPERS = "jettison.sandbox.birth"  # who has imported this has begun a keeper, most likely
SETTLED_S = 60  # two commands with two sys.path would replace each other's file for ever: not more often than that
_PYC_HEAD_BYTES = 16

Part = tuple[Row, bytes]


def complete(bundle: Bundle) -> None:
    """Write the bundle anew with the modules that it lacks. Whatever is in the way, the command has done its work."""
    try:
        if _KEEPERS in sys.modules:
            _import_what_a_keeper_does()
        _complete(bundle.path, bundle.missed)
    except BaseException:  # noqa: BLE001 - nobody asked for this, and nobody is to hear of it: not even with ^C
        return


def _import_what_a_keeper_does() -> None:
    """A keeper is a process of its own: what it has missed, this one has not seen."""
    from jettison.sandbox import archives, keeper, serve

    del archives, keeper, serve


def _complete(path: str, missed: list[str]) -> None:
    rows = read_rows(path)  # anew: others may have written since this process began
    if not rows and _is_young(path):
        return
    kept = {
        name: (row, body) for name, row in rows.items() if is_true(row) and (body := read_body(path, row)) is not None
    }
    found = {name: part for name in missed if (part := _part(name)) and part != _unplaced(kept.get(name))}
    if found:
        parts = {**kept, **found}
        fits = sum(len(body) for _, body in parts.values()) <= MOST_BYTES
        _write(path, _file(parts if fits else found))


def _is_young(path: str) -> bool:
    try:
        return abs(time.time() - os.stat(path).st_mtime) < SETTLED_S
    except OSError:
        return False


def _part(name: str) -> Part | None:
    """An imported module's row, without its place, and its code. None if it is not one for the bundle."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if not isinstance(spec, ModuleSpec) or spec.name != name or not spec.has_location or spec.origin is None:
        return None
    source = spec.origin
    folder = os.path.dirname(source)
    is_package = spec.submodule_search_locations is not None
    if not os.path.isabs(source) or (is_package and spec.submodule_search_locations != [folder]):
        return None
    where = os.path.dirname(folder) if is_package else folder
    try:
        about = os.stat(source)
        if type(spec.loader) is ExtensionFileLoader:
            cached, body = "", b""
        elif type(spec.loader) in (SourceFileLoader, BundleLoader) and spec.cached:
            cached, body = spec.cached, _code(spec.cached, about)
        else:
            return None
    except (OSError, ValueError):
        return None
    row = (source, where, int(about[stat.ST_MTIME]), about.st_size, cached, is_package, 0, len(body), checksum_of(body))
    return row, body


def _code(cached: str, source: os.stat_result) -> bytes:
    """What a .pyc has. Raises ValueError if Python's own loader would not take it."""
    with open(cached, "rb") as file:
        data = file.read()
    numbers = (0, int(source.st_mtime) & 0xFFFF_FFFF, source.st_size & 0xFFFF_FFFF)  # 0: a .pyc that goes by time
    head = MAGIC_NUMBER + b"".join(number.to_bytes(4, "little") for number in numbers)
    if not data.startswith(head):
        raise ValueError(f"{cached} is not what its source was compiled to")
    return data[_PYC_HEAD_BYTES:]


def _unplaced(part: Part | None) -> Part | None:
    return part and ((*part[0][:6], 0, *part[0][7:]), part[1])


def _file(parts: dict[str, Part]) -> bytes:
    """The whole file. A row's place is counted from the file's first byte."""
    rows: dict[str, Row] = {}
    place = HEAD_BYTES
    for name, (row, body) in parts.items():
        rows[name] = (*row[:6], place, *row[7:])
        place += len(body)
    about: Any = (surroundings(), rows)
    index = marshal.dumps(about)
    numbers = b"".join(number.to_bytes(NUMBER_BYTES, "little") for number in (place, len(index)))
    return b"".join([HEAD, checksum_of(index), numbers, *(body for _, body in parts.values()), index])


def _write(path: str, data: bytes) -> None:
    """All or nothing, one process at a time: who finds another at it leaves it to that one."""
    aside = f"{path}.part"
    if os.path.exists(aside) and not _is_young(aside):  # of a process that was killed
        os.unlink(aside)
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(file, "wb") as stream:
            stream.write(data)
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
