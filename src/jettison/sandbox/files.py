"""File work: requests that are answered by the tree floor, on snapshots and contexts, without a process."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import Any

from jettison.base.errors import InternalError
from jettison.planning.ops import CopyOp, CopySource, MkdirOp
from jettison.sandbox import spec
from jettison.sandbox.desk import Desk
from jettison.sandbox.taping import taping
from jettison.sandbox.tier import Tier
from jettison.tree.content import input_digest, snapshot_digest
from jettison.tree.disk import Disk
from jettison.tree.manifest import Head
from jettison.tree.materialize import Taken
from jettison.tree.recorded import RecordedView
from jettison.tree.row import Row
from jettison.tree.view import ArchiveView, DirectoryView, StackView, View
from jettison.tree.write import copy_step

_TOLD_AT_ONCE = 2000  # files in a frame


def disk_of(tier: Tier) -> Disk:
    """How this tier's snapshots lie on the disk."""
    return Disk(tier.overlay_namespace)


def head_of(tier: Tier) -> Head:
    """The head of a snapshot that is made now, in this tier."""
    maps = [tuple((r.inside, r.outside, r.count) for r in ranges) for ranges in (tier.uid_map, tier.gid_map)]
    return Head(tier=tier.name, uid_map=maps[0], gid_map=maps[1], created_s=int(time.time()))


def view_of(readable: spec.Readable, tier: Tier) -> View:
    """What a request reads, as a tree. Where we are root of a namespace of our own, we read what its user may, as the
    driver does: else a file could be copied by one build, and not be read by the next.
    """
    if isinstance(readable, spec.Tree):
        return StackView(readable.snapshots)
    if isinstance(readable, spec.Archive):
        return ArchiveView((readable.snapshot,))
    return DirectoryView(readable.root, readable.ignore, as_owner=bool(tier.uid_map))


def flatten(of: spec.Readable, source: str, out: str, desk: Desk) -> str:
    """Copy what is at `source` of a readable into a snapshot at `out`, where nothing is yet; the path of the copy."""
    taken = CopySource(1, source)
    op = CopyOp(sources=(taken,), dest="/bound", dest_is_dir=False)
    _copy(spec.CopyRequest(op=op, tree=spec.Tree(()), inputs=(of,), out=out), desk)
    return f"{out}/files/bound"


def _copy(request: spec.CopyRequest, desk: Desk) -> spec.Copied:
    if not isinstance(request.op, CopyOp | MkdirOp):
        raise InternalError(f"{type(request.op).__name__} is no copy")
    disk, warn = disk_of(desk.tier), warner(desk)

    def extract(archive: int, directory: str, below: Callable[[str], Row | None]) -> list[Row] | None:
        from jettison.layer.unpack import unarchive

        return unarchive(archive, directory, disk, below=below, warn=warn)

    views, began_ns = [view_of(readable, desk.tier) for readable in request.inputs], time.time_ns()
    recorded = _recorded(request, desk.tier)
    if recorded is not None:
        views[(request.tell or 0) - 1] = recorded
    with taping(request.pressing) as layer:
        done = copy_step(
            request.op,
            request.tree.snapshots,
            views,
            request.out,
            disk=disk,
            head=head_of(desk.tier),
            unarchive=extract,
            epoch=request.epoch,
            workers=os.cpu_count() or 1,
            earlier=request.earlier,
            tape=layer.tape,
        )
    read = _read(request, views) if recorded is None else _told(request, recorded, done.taken, began_ns, desk)
    _close(views)
    return spec.Copied(
        changed=done.changed,
        digest=done.digest,
        files=done.files,
        size_bytes=done.size_bytes,
        read=read,
        packed=layer.packed,
    )


def _close(views: list[View]) -> None:
    """Give back what views keep open: this process will do other requests. (After a failed one it does none.)"""
    for view in views:
        if isinstance(view, DirectoryView):
            view.close()


def _recorded(request: spec.CopyRequest, tier: Tier) -> RecordedView | None:
    """The input of which is to be told what was taken."""
    if request.tell is None:
        return None
    told = request.inputs[request.tell - 1]
    if not isinstance(told, spec.Directory):
        return None
    return RecordedView(told.root, told.ignore, as_owner=bool(tier.uid_map))


def _told(
    request: spec.CopyRequest, view: RecordedView, taken: list[Taken], began_ns: int, desk: Desk
) -> spec.Read | None:
    """Tell of the files, and what all that was taken is, unless the asker knows already."""
    view.tell(taken)
    if request.since_ns and not view.may_have_changed(request.since_ns):
        return None
    files = view.settled(began_ns)
    while some := tuple(spec.TookFile(*each) for each in itertools.islice(files, _TOLD_AT_ONCE)):
        desk.send(spec.Took(files=some))
    found = input_digest(request.op, request.tell or 0, view)
    return spec.Read(found.digest, found.parts)


def _read(request: spec.CopyRequest, views: list[View]) -> spec.Read | None:
    """What was read of the layers that are to be told of: they are as they were."""
    if request.tell is None or not isinstance(request.inputs[request.tell - 1], spec.Tree):
        return None
    return spec.Read(input_digest(request.op, request.tell, views[request.tell - 1]).digest, ())


def _digest(request: spec.DigestRequest, desk: Desk) -> spec.Reply:
    view = view_of(request.of, desk.tier)
    digest = input_digest(request.op, request.input, view).digest
    _close([view])
    return spec.Digested(digest=digest)


def _snapshot_digest(request: spec.SnapshotDigestRequest, _desk: Desk) -> spec.Reply:
    return spec.Digested(digest=snapshot_digest(request.snapshot, proof=request.proof))


def warner(desk: Desk) -> Callable[[str], None]:
    """A function that tells the driver a warning for people."""
    return lambda text: desk.send(spec.Note(text=text.encode("utf-8", "backslashreplace").decode()))


FILE_WORK: dict[type[spec.Request], Callable[[Any, Desk], spec.Reply]] = {
    spec.CopyRequest: _copy,
    spec.DigestRequest: _digest,
    spec.SnapshotDigestRequest: _snapshot_digest,
}
