"""The layers of a stack, made at the same time: the upper ones wait for the lower ones only where they need them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_IN_PLACE = b"."


class Rising:
    """Layers, bottom first, each of which is made in a block of its own, in whatever thread.

    The block gets a descriptor to read from. It gives a byte when all layers below this one are in place, and ends
    without one when they will not be. Whoever begins layers in order, a few at once, never waits for ever: nothing
    holds up the lowest of them.
    """

    def __init__(self, layers: list[str]) -> None:
        self._layers = layers
        self._placed: set[str] = set()
        self._failed: set[str] = set()
        self._writing: dict[str, int] = {}
        self._turn = threading.Lock()

    @contextmanager
    def making(self, layer: str) -> Iterator[int]:
        """Make the layer: it is in place when the block ends, and none above it will be if that raises."""
        reading, writing = os.pipe()
        with self._turn:
            self._writing[layer] = writing
            self._tell()
        ended = self._failed
        try:
            yield reading
            ended = self._placed
        finally:
            with self._turn:
                self._hang_up(layer)
                ended.add(layer)
                self._tell()
            os.close(reading)  # nobody writes to it any more

    def _tell(self) -> None:
        """Tell those who wait what there is to tell. Those that were told have been hung up on."""
        in_place, lost = True, False
        for layer in self._layers:
            if in_place and layer in self._writing:
                os.write(self._writing[layer], _IN_PLACE)
            if in_place or lost:
                self._hang_up(layer)
            in_place = in_place and layer in self._placed
            lost = lost or layer in self._failed

    def _hang_up(self, layer: str) -> None:
        writing = self._writing.pop(layer, None)
        if writing is not None:
            os.close(writing)
