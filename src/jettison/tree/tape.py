"""A tape: whoever wants a new snapshot's rows, in order, and the bytes of its files while those are read anyway.

So a layer is written while its files are copied, and nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from jettison.tree.conveyor import Make, convey
from jettison.tree.row import Row, with_digest
from jettison.tree.stamp import Stamp

T = TypeVar("T")
_WORTH_FILES = 500  # fewer are not worth another process


class Tape(Protocol):
    """Takes a snapshot. Raises what writing it down raises."""

    def row(self, row: Row) -> None:
        """The next row, in `tree.row.order`. A file's digest may not be known yet; its size is."""

    def write(self, data: memoryview) -> None:
        """The next bytes of the file whose row came last. The memory is used again afterwards."""

    def spoil(self) -> None:
        """A file did not come to have the size that its row said: what was taken is worth nothing."""


class Came(NamedTuple):
    """What became of a file: how many bytes it has, their digest, and the stamp of a source that is the user's."""

    size_bytes: int
    digest: str
    stamp: Stamp | None = None


def make_files(
    make: Make[T, Came],
    items: Sequence[T],
    files: Sequence[Row],
    rows: Iterable[Row],
    made: Callable[[int, Came], None],
    *,
    tape: Tape | None = None,
    workers: int = 1,
) -> None:
    """Make every item, by up to `workers` processes; `made` hears of each, by its number, in order.

    `files` are their rows. `tape` is told all of `rows`, among which those are, and given the bytes that `make` puts
    out (it must then do so for every file that has any). Raises what `convey` does, and the tape.
    """
    sink = _Heard(made) if tape is None else _Taped(made, files, iter(rows), tape)
    sizes = [row.size for row in files]
    convey(make, items, sink, workers=min(workers, len(items) // _WORTH_FILES), sizes=sizes)
    sink.finish()


class _Heard:
    """Hears what became of files, and nothing else."""

    def __init__(self, made: Callable[[int, Came], None]) -> None:
        self._made = made

    def begin(self, number: int, size_bytes: int) -> None:
        """See `conveyor.Sink`."""

    def write(self, data: memoryview) -> None:
        """See `conveyor.Sink`."""

    def end(self, number: int, result: Came) -> None:
        """See `conveyor.Sink`."""
        self._made(number, result)

    def finish(self) -> None:
        """All files are made."""


class _Taped(_Heard):
    """Tells a tape of every row in its place, and of the bytes of files."""

    def __init__(
        self, made: Callable[[int, Came], None], files: Sequence[Row], rows: Iterator[Row], tape: Tape
    ) -> None:
        super().__init__(made)
        self._files = files
        self._rows = rows
        self._tape = tape
        self._told_bytes: int | None = None

    def begin(self, number: int, size_bytes: int) -> None:
        """The rows before it, and its own."""
        self._tell_before(self._files[number])
        self._tape.row(with_digest(self._files[number], "", size_bytes))
        self._told_bytes = size_bytes

    def write(self, data: memoryview) -> None:
        """See `conveyor.Sink`."""
        self._tape.write(data)

    def end(self, number: int, result: Came) -> None:
        """The file is what it was said to be, or it is told now: one without bytes."""
        if self._told_bytes is None:
            self.begin(number, 0)
        if self._told_bytes != result.size_bytes:
            self._tape.spoil()
        self._told_bytes = None
        super().end(number, result)

    def finish(self) -> None:
        """The rows after the last file."""
        for row in self._rows:
            self._tape.row(row)

    def _tell_before(self, file: Row) -> None:
        for row in self._rows:
            if row.path == file.path:
                return
            self._tape.row(row)
