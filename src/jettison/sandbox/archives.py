"""File work on archives: requests that the layer floor answers. Imported when the keeper has nothing else to do."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from jettison.base.errors import InputError
from jettison.layer.cachedir import pack_directory, restore_directory
from jettison.layer.faithful import unfaithful
from jettison.layer.flatten import export_tree, export_trees
from jettison.layer.growing import Growing
from jettison.layer.pack import pack
from jettison.layer.unpack import unpack
from jettison.sandbox import spec
from jettison.sandbox.desk import Desk
from jettison.sandbox.files import disk_of, warner
from jettison.sandbox.taping import packed
from jettison.tree.manifest import read_rows
from jettison.tree.row import Row
from jettison.tree.view import StackView


def _pack(request: spec.PackRequest, _desk: Desk) -> spec.Reply:
    how = request.pressing
    made = (pack(snapshot, how.blobs, how.compression, how.clamp_epoch) for snapshot in request.snapshots)
    return spec.PackedAll(packed=tuple(map(packed, made)))


def _unpack(request: spec.UnpackRequest, desk: Desk) -> spec.Reply:
    @functools.cache
    def below() -> StackView:
        if not os.read(desk.fds[-1], 1):
            raise InputError("a layer that it stands on cannot be had")
        return StackView(request.below)

    def look_up(path: str) -> Row | None:
        return below().row(path)

    made = unpack(
        request.blob or Growing(*desk.fds[:2]),
        request.media_type,
        request.diff_id,
        request.out,
        request.files,
        disk_of(desk.tier),
        below=look_up if request.below else None,
        warn=warner(desk),
    )
    if request.sync:
        os.sync()
    return spec.Unpacked(rows=made.rows)


def _faith(request: spec.FaithRequest, _desk: Desk) -> spec.Reply:
    return spec.Faith(problem=unfaithful(read_rows(request.snapshot)))


def _pack_directory(request: spec.PackDirectoryRequest, _desk: Desk) -> spec.Reply:
    return packed(pack_directory(request.directory, request.blobs, request.compression))


def _restore_directory(request: spec.RestoreDirectoryRequest, desk: Desk) -> spec.Reply:
    restore_directory(request.blob, request.directory, request.aside, disk_of(desk.tier))
    return spec.Done()


def _export(request: spec.ExportRequest, desk: Desk) -> spec.Reply:
    if request.named:
        trees = [(name, tree.snapshots) for name, tree in request.named]
        export_trees(trees, request.dest, request.epoch)
    else:
        export_tree(request.tree.snapshots, request.dest, request.form, request.epoch, warn=warner(desk))
    return spec.Done()


ARCHIVE_WORK: dict[type[spec.Request], Callable[[Any, Desk], spec.Reply]] = {
    spec.PackRequest: _pack,
    spec.UnpackRequest: _unpack,
    spec.FaithRequest: _faith,
    spec.PackDirectoryRequest: _pack_directory,
    spec.RestoreDirectoryRequest: _restore_directory,
    spec.ExportRequest: _export,
}
