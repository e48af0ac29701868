"""A step's output, from its pipes to frames: cut at line ends or at 16 KiB, in one frame what was read at once."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping

from jettison.sandbox.spec import MAX_OUTPUT_BYTES, Output

_READ = 64 * 1024
_IDLE_MS = 100  # without a word of the step


class Pump:
    """Reads `pipes` (descriptor to stream number) and sends Output frames."""

    def __init__(self, pipes: Mapping[int, int], send: Callable[[Output], None]) -> None:
        self._streams = dict(pipes)
        self._held = {fd: bytearray() for fd in pipes}
        self._send = send
        for fd in pipes:
            os.set_blocking(fd, False)

    def run(self, ended: int, when_idle: Callable[[], None] = lambda: None) -> None:
        """Send what comes until the descriptor `ended` is readable; what the pipes then hold is left to rest().

        `when_idle` is called once, when the step has taken its time.
        """
        until_idle_ms: int | None = _IDLE_MS
        poll = select.poll()
        for fd in (ended, *self._streams):
            poll.register(fd, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll(until_idle_ms)]
            if not ready:
                when_idle()
                until_idle_ms = None
            for fd in ready:
                if fd != ended and not self._read(fd):
                    poll.unregister(fd)
            if ended in ready:
                return

    def rest(self) -> None:
        """Send what is left in the pipes, now that nobody writes to them."""
        for fd in self._streams:
            while self._read(fd):
                if not select.select([fd], [], [], 0)[0]:
                    break
            self._flush(fd)

    def _read(self, fd: int) -> bool:
        """Take one piece; False at the end of the pipe."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return True
        held = self._held[fd]
        held += data
        cut = held.rfind(b"\n") + 1
        if len(held) - cut >= MAX_OUTPUT_BYTES:
            cut += (len(held) - cut) // MAX_OUTPUT_BYTES * MAX_OUTPUT_BYTES
        if cut:
            self._send(Output(stream=self._streams[fd], data=bytes(held[:cut])))
            del held[:cut]
        return bool(data)

    def _flush(self, fd: int) -> None:
        if self._held[fd]:
            self._send(Output(stream=self._streams[fd], data=bytes(self._held[fd])))
            self._held[fd].clear()
