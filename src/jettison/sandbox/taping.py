"""A layer that is written while its snapshot is made, for a request that wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison.sandbox import spec

if TYPE_CHECKING:
    from jettison.layer.pack import LayerTape, Packed


class Layer:
    """`tape` is for the one who makes the snapshot; `packed` is what came of it, for the reply."""

    tape: LayerTape | None = None
    packed: spec.Packed | None = None


def warm() -> None:
    """Import what a layer takes, for one that is wanted of this process later."""
    import jettison.layer.pack  # noqa: F401 - to have it in memory is the use


@contextmanager
def taping(pressing: spec.Pressing | None) -> Iterator[Layer]:
    """For the time in which the snapshot is made. Without `pressing` there is no tape, and nothing comes of it."""
    layer = Layer()
    if pressing is None:
        yield layer
        return
    from jettison.layer.pack import taped  # most steps of stages are in no image

    with taped(pressing.blobs, pressing.compression, pressing.clamp_epoch) as made:
        layer.tape = made.tape
        yield layer
    layer.packed = packed(made.packed) if made.packed is not None else None


def packed(made: Packed) -> spec.Packed:
    """A layer as the driver is told of it."""
    return spec.Packed(diff_id=made.diff_id, tar_bytes=made.tar_bytes, digest=made.digest, size_bytes=made.size_bytes)
