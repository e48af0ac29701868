"""A cache mount's directory as a tar, and back: owners, modes, links and exact times, for the tools that wrote them."""

from __future__ import annotations

import os
import stat

import msgspec

from jettison.base.errors import InputError
from jettison.layer.pack import Packed, pack_pieces
from jettison.layer.tarwrite import layer_pieces
from jettison.layer.unpack import unarchive
from jettison.tree.commit import row_of
from jettison.tree.disk import Disk
from jettison.tree.row import FILE, Row, order


def pack_directory(directory: str, blobs_dir: str, compression: str) -> Packed:
    """The directory, itself included, as a blob in `blobs_dir`, named by the hex of its digest. Nobody may write to it
    meanwhile. Sockets are left out. Raises HostError and OSError.
    """
    rows = _rows(directory)
    return pack_pieces(layer_pieces(rows, foreign=True, exact_times=True), directory, blobs_dir, compression)


def restore_directory(blob: str, directory: str, aside: str, disk: Disk) -> None:
    """Make `directory` of a blob of `pack_directory`, by way of the path `aside` on the same filesystem.

    Neither may be there; what lies at `directory` already wins. Raises InputError for a bad blob, with nothing made.
    """
    os.mkdir(aside, 0o700)
    if unarchive(blob, aside, disk) is None:
        raise InputError("it is no archive")
    if not os.path.lexists(directory):
        os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
        os.rename(aside, directory)


def _rows(directory: str) -> list[Row]:
    """The directory and all below it, in `tree.row.order`."""
    found: list[Row] = []
    links: dict[tuple[int, int], list[int]] = {}
    left = [""]
    while left:
        path = left.pop()
        where = os.path.join(directory, path) if path else directory
        status = os.lstat(where)
        row = row_of(where, path, status)
        if row is None:
            continue
        if row.type == FILE and status.st_nlink > 1:
            links.setdefault((status.st_dev, status.st_ino), []).append(len(found))
        found.append(row)
        if stat.S_ISDIR(status.st_mode):
            left += [f"{path}/{name}" if path else name for name in os.listdir(where)]
    for group in links.values():
        first = min((found[at].path for at in group), key=order)
        for at in group if len(group) > 1 else ():
            found[at] = msgspec.structs.replace(found[at], link=first)
    return sorted(found, key=lambda row: order(row.path))
