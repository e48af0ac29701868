"""COPY, ADD and WORKDIR done: the front that the keeper calls. No mount, no process of the image (design)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import msgspec

from jettison.planning.ops import CopyOp, MkdirOp
from jettison.tree.content import snapshot_digest
from jettison.tree.directory import DirectoryView
from jettison.tree.disk import Disk
from jettison.tree.earlier import find_earlier, write_sources
from jettison.tree.manifest import Head, write_head, write_rows
from jettison.tree.materialize import Taken, materialize
from jettison.tree.place import Unarchive, place_copy, place_directory
from jettison.tree.row import FILE
from jettison.tree.sheet import Placement
from jettison.tree.tape import Tape
from jettison.tree.view import StackView, View

_NS = 1_000_000_000


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """`changed` False: nothing was created or replaced, and there is no snapshot. `digest` is its content digest
    (`tree.content.snapshot_digest`). `files` and `size_bytes` are of what was written; `taken` are the files that were
    copied from the user's directories.
    """

    changed: bool
    digest: str = ""
    files: int = 0
    size_bytes: int = 0
    taken: list[Taken] = []


def copy_step(
    op: CopyOp | MkdirOp,
    tree: Sequence[str],
    inputs: Sequence[View],
    out: str,
    *,
    disk: Disk,
    head: Head,
    unarchive: Unarchive,
    epoch: int | None = None,
    workers: int = 1,
    earlier: Sequence[str] | None = None,
    tape: Tape | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Copied:
    """Do `op` onto the snapshot directories `tree` (bottom first); the snapshot `out`, which must not exist, is made.

    `inputs` are the op's inputs from number 1 on. `epoch` (seconds) is the time of directories that the op makes by
    itself, None is now. `unarchive` extracts what ADD unpacks (`tree.place.Unarchive`). `workers` processes share the
    files; the caller must then have no threads. `earlier` are snapshots that copies like this one left, the newest
    first: files that were not touched since are linked from the first that came from the same directory, and what the
    next copy needs for that is written down; None does neither. `tape` is told of the snapshot while it is made.
    `clock` tells the time in ns.

    Raises InputError, HostError, OSError; nothing is then left at `out`.
    """
    alone = isinstance(op, CopyOp) and op.stands_alone
    base = StackView(() if alone else tree)
    began_ns = clock()
    now_ns = began_ns if epoch is None else epoch * _NS
    os.mkdir(out, 0o700)
    done = False
    try:
        scratch = f"{out}/unpacked"
        if isinstance(op, MkdirOp):
            placements = place_directory(op, base, now_ns)
        else:
            placements = place_copy(op, base, inputs, now_ns=now_ns, unarchive=unarchive, scratch=scratch)
        if not placements:
            return Copied(changed=False)
        copied = _commit(placements, base, inputs, out, disk, head, workers, earlier, began_ns, tape, alone=alone)
        _remove(scratch)
        done = True
    finally:
        if not done:
            _remove(out)
    return copied


def _commit(  # noqa: PLR0917 - the parts of a snapshot
    placements: list[Placement],
    base: StackView,
    inputs: Sequence[View],
    out: str,
    disk: Disk,
    head: Head,
    workers: int,
    earlier: Sequence[str] | None,
    began_ns: int,
    tape: Tape | None,
    *,
    alone: bool,
) -> Copied:
    files = f"{out}/files"
    os.mkdir(files, 0o700)
    views = dict(enumerate(inputs, 1))
    root = None if earlier is None else _root(inputs)
    before = find_earlier(earlier or (), root) if root else None
    made = materialize(placements, base, views, files, disk, workers=workers, earlier=before, tape=tape)
    rows = write_rows(out, made.rows)
    if root:
        write_sources(out, root, ((each.row, each.stamp) for each in made.taken), began_ns)
    write_head(out, msgspec.structs.replace(head, alone=alone and rows[0].implied))
    written = [row for row in rows if row.type == FILE]
    return Copied(
        changed=True,
        digest=snapshot_digest(out, rows),
        files=len(written),
        size_bytes=sum(row.size for row in written),
        taken=made.taken,
    )


def _root(inputs: Sequence[View]) -> str | None:
    """The directory of the user's that is copied from, if it is one."""
    roots = {view.root for view in inputs if isinstance(view, DirectoryView)}
    return roots.pop() if len(roots) == 1 else None


def _remove(path: str) -> None:
    if os.path.lexists(path):
        import shutil  # takes longer than a small copy

        shutil.rmtree(path, ignore_errors=True)
