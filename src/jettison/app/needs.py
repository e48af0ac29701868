"""What a build that does its steps will read of its bases: known from the plans alone, before any step has run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jettison.planning import ops
from jettison.planning.graph import Plan, Step


def needs_of(plans: Iterable[Plan]) -> dict[str, bool]:
    """By an image's digest (as in ImageOp): True when its files are read, False when its rows are enough. An image that
    nothing stands on and nothing is copied from is not named.
    """
    needs: dict[str, bool] = {}
    for plan in plans:
        bottoms: dict[str, str] = {}  # the image that the tree of a step stands on, by step id
        for step in plan.steps:
            if isinstance(step.op, ops.ImageOp):
                bottoms[step.id] = step.op.digest
            elif step.inputs and (below := bottoms.get(step.inputs[0])):
                bottoms[step.id] = below
            for name, files in _reads(step):
                if image := bottoms.get(name):
                    needs[image] = needs.get(image, False) or files
    return needs


def looks_up_names(op: ops.AnyOp) -> bool:
    """Whether a COPY or WORKDIR reads the passwd and group files of the tree that it writes to; else rows will do."""
    from jettison.tree.passwd import needs_names

    text = op.user if isinstance(op, ops.MkdirOp) else op.chown if isinstance(op, ops.CopyOp) else None
    return bool(text) and needs_names(text or "")


def stands_alone(op: ops.AnyOp) -> bool:
    """Whether nothing is read of the tree that a step writes to (COPY --link)."""
    return isinstance(op, ops.CopyOp) and op.stands_alone


def _reads(step: Step) -> Iterator[tuple[str, bool]]:
    """The inputs that a step reads, and whether it reads their files."""
    for index, name in enumerate(step.inputs):
        if index == 0 and stands_alone(step.op):
            continue
        yield name, index > 0 or isinstance(step.op, ops.RunOp) or looks_up_names(step.op)
