"""Which listener shows a build's events: live on a terminal, plain lines in a pipe, nothing when quiet."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Protocol, Self, TextIO

from jettison.record.model import AnyEvent


class Listener(Protocol):
    """Shows events. Called by one thread at a time, in order. Entered before the build, left after it."""

    streamed_output: bool  # every line of output has been shown already

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""

    def __call__(self, event: AnyEvent) -> None:
        """Show one event."""


def listener(mode: str, stream: TextIO) -> Listener:
    """The listener for `--progress` MODE. `auto` is live on a terminal and plain elsewhere."""
    if mode == "quiet":
        from jettison.cli.show_plain import Quiet

        return Quiet()
    if mode == "rawjson":
        from jettison.cli.show_plain import RawJson

        return RawJson(stream)
    if mode == "tty" or (mode == "auto" and stream.isatty() and os.environ.get("TERM") != "dumb"):
        from jettison.cli.show_live import Live

        return Live(stream)
    from jettison.cli.show_plain import Plain

    return Plain(stream)
