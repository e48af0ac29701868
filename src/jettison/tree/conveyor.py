"""Many files made by forked processes, while their bytes go past one reader, in order (mechanisms: the keeper).

The workers put bytes into memory that they share with the reader, a few slots each, and wait while all are full: so
every processor has work, and memory is bounded whatever the sizes. Only where the caller has no threads of its own, as
the keeper's children have none.
"""

from __future__ import annotations

import itertools
import mmap
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NoReturn, Protocol, Self, TypeVar

from jettison.base.errors import InternalError, JettisonError

T = TypeVar("T")
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)

SLOT_BYTES = 1 << 20
_SLOTS = 3  # a worker: one that it fills, one on its way, one that is read
_ROOM_BYTES = 1 << 16  # a large file gets a new slot sooner than less room than this
_RUN_FILES, _RUN_BYTES = 64, SLOT_BYTES  # neighbours that one worker makes before it is another one's turn
_NO_SLOT, _NOWHERE = memoryview(b""), -1
_FREE = b"."


class Outlet(Protocol):
    """Where the maker of a file puts its bytes."""

    def begin(self, size_bytes: int) -> None:
        """A file begins that will most likely have that many bytes."""

    def room(self) -> memoryview:
        """Memory to be filled, never empty. What was in it before is gone."""

    def put(self, count: int) -> None:
        """The first `count` bytes of `room()` are the next ones of the file."""


class Sink(Protocol[R_contra]):
    """Whoever looks on: told of every file, in order."""

    def begin(self, number: int, size_bytes: int) -> None:
        """The bytes of item number so-and-so are next; there are most likely so many."""

    def write(self, data: memoryview) -> None:
        """The next of them. The memory is used again afterwards."""

    def end(self, number: int, result: R_contra) -> None:
        """The item is made. One without bytes may never have begun."""


Make = Callable[[T, Outlet], R]
_Part = tuple[int, int | None, int, tuple[R] | None]  # an item's number, its size as it begins, bytes, what it became
_Message = tuple[int, list[_Part[R]], Exception | None]  # a slot, what is in it, or what went wrong


def convey(make: Make[T, R], items: Sequence[T], sink: Sink[R], *, workers: int, sizes: Sequence[int] = ()) -> None:
    """`make(item, outlet)` of every item, by `workers` processes, and here with fewer than two; `sink` hears of each.

    `sizes` are the bytes that items will most likely have: neighbours that are small are made by one worker. The first
    failure is raised again here, when all workers have ended: a JettisonError or OSError as it was, anything else as
    an InternalError.
    """
    if workers < 2:
        _make_here(make, items, sink)
        return
    runs = _runs(len(items), sizes)
    crew = _Crew[T, R](make, items, runs, workers)
    try:
        for turn, run in enumerate(runs):
            crew.workers[turn % workers].take(run[-1], sink)
        crew.end()
    except BaseException:
        crew.kill()
        raise
    finally:
        crew.close()


def _runs(count: int, sizes: Sequence[int]) -> list[range]:
    """The numbers of all items, cut into runs of neighbours."""
    runs, start, size_bytes = [], 0, 0
    for number in range(count):
        size_bytes += sizes[number] if sizes else 0
        if number + 1 - start == _RUN_FILES or size_bytes >= _RUN_BYTES:
            runs.append(range(start, number + 1))
            start, size_bytes = number + 1, 0
    if start < count:
        runs.append(range(start, count))
    return runs


def _make_here(make: Make[T, R], items: Sequence[T], sink: Sink[R]) -> None:
    slot = memoryview(bytearray(SLOT_BYTES // 4))
    outlet = _Outlet[R](itertools.repeat(slot), lambda parts, filled: _tell(parts, filled, sink))
    for number, item in enumerate(items):
        outlet.make(number, make, item)
    outlet.flush()


def _tell(parts: list[_Part[R]], slot: memoryview, sink: Sink[R]) -> None:
    """What is in a slot, told to the sink."""
    at = 0
    for number, size_bytes, count, result in parts:
        if size_bytes is not None:
            sink.begin(number, size_bytes)
        if count:
            sink.write(slot[at : at + count])
            at += count
        if result is not None:
            sink.end(number, result[0])


class _Outlet(Generic[R]):
    """Fills slots one after the other, and sends each with the parts that are in it."""

    def __init__(self, slots: Iterator[memoryview], send: Callable[[list[_Part[R]], memoryview], None]) -> None:
        self._slots = slots
        self._send = send
        self._slot = _NO_SLOT
        self._parts: list[_Part[R]] = []
        self._from = self._at = 0  # of what is in the slot: the item's own, and all
        self._number = 0
        self._size_bytes: int | None = None

    def make(self, number: int, make: Make[T, R], item: T) -> None:
        """One item."""
        self._number, self._size_bytes = number, None
        self._part((make(item, self),))

    def begin(self, size_bytes: int) -> None:
        """See `Outlet`."""
        self._size_bytes = size_bytes

    def room(self) -> memoryview:
        """See `Outlet`."""
        if len(self._slot) - self._at < _ROOM_BYTES:
            if self._at > self._from:
                self._part(None)
            self.flush()
            self._slot = next(self._slots)
        return self._slot[self._at :]

    def put(self, count: int) -> None:
        """See `Outlet`."""
        self._at += count

    def flush(self) -> None:
        """Send what is there."""
        if self._parts:
            self._send(self._parts, self._slot)
            self._slot, self._parts, self._from, self._at = _NO_SLOT, [], 0, 0

    def _part(self, result: tuple[R] | None) -> None:
        self._parts.append((self._number, self._size_bytes, self._at - self._from, result))
        self._from, self._size_bytes = self._at, None


class _Crew(Generic[T, R]):
    """The workers; every `workers`-th run is one's own."""

    def __init__(self, make: Make[T, R], items: Sequence[T], runs: list[range], workers: int) -> None:
        self.workers: list[_Worker[R]] = []
        try:
            for first in range(workers):
                self.workers.append(self._hired(make, items, runs[first::workers]))
        except BaseException:
            self.kill()
            self.close()
            raise

    def _hired(self, make: Make[T, R], items: Sequence[T], runs: list[range]) -> _Worker[R]:
        memory = mmap.mmap(-1, _SLOTS * SLOT_BYTES)
        said, saying = os.pipe()
        hearing, telling = os.pipe()
        pid = os.fork()
        if pid == 0:
            for fd in (said, telling, *(fd for worker in self.workers for fd in worker.fds)):
                os.close(fd)
            _work(make, items, runs, _Ring(memory, saying, hearing))
        os.close(saying)
        os.close(hearing)
        return _Worker(pid, memory, said, telling)

    def end(self) -> None:
        """Wait for all of them, who have nothing left to do."""
        for worker in self.workers:
            worker.wait()

    def kill(self) -> None:
        """End them at once."""
        for worker in self.workers:
            worker.kill()

    def close(self) -> None:
        """Let go of what was shared."""
        for worker in self.workers:
            worker.close()


class _Worker(Generic[R]):
    """A worker, as the reader sees it."""

    def __init__(self, pid: int, memory: mmap.mmap, said: int, telling: int) -> None:
        self.fds = (said, telling)
        self._pid = pid
        self._memory = memoryview(memory)
        self._said = open(said, "rb")  # noqa: SIM115 - closed by close()
        self._telling = telling

    def take(self, last: int, sink: Sink[R]) -> None:
        """All that it makes up to item number `last`, told to the sink. Raises what it raised."""
        while True:
            slot, parts, error = self._next()
            if error is not None:
                raise error
            if slot == _NOWHERE:
                _tell(parts, _NO_SLOT, sink)
            else:
                _tell(parts, self._memory[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES], sink)
                self._give_back()
            if parts[-1][0] == last and parts[-1][3] is not None:
                return

    def _next(self) -> _Message[R]:
        import pickle  # most copies need no worker

        try:
            found: _Message[R] = pickle.load(self._said)  # noqa: S301 - from our own child
        except (EOFError, pickle.UnpicklingError):
            raise InternalError(
                "a worker process ended without an answer", hint="was it killed for want of memory?"
            ) from None
        return found

    def _give_back(self) -> None:
        try:
            os.write(self._telling, _FREE)
        except BrokenPipeError:
            pass  # it has ended, and needs no slot

    def wait(self) -> None:
        """Until it has ended."""
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # waited for already

    def kill(self) -> None:
        """End it at once."""
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.wait()

    def close(self) -> None:
        """Let go of what was shared."""
        self._said.close()
        os.close(self._telling)


def _work(make: Make[T, R], items: Sequence[T], runs: list[range], ring: _Ring[R]) -> NoReturn:
    """The life of a worker."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        failure = _make_runs(make, items, runs, ring)
        if failure is not None:
            ring.say(_NOWHERE, [], failure)
        status = 0
    finally:
        os._exit(status)


def _make_runs(make: Make[T, R], items: Sequence[T], runs: list[range], ring: _Ring[R]) -> Exception | None:
    """All items of the runs; what went wrong."""
    outlet = _Outlet[R](ring, ring.send)
    try:
        for run in runs:
            for number in run:
                outlet.make(number, make, items[number])
            outlet.flush()
    except (JettisonError, OSError) as error:
        return error
    except Exception as error:  # noqa: BLE001 - a worker's last words
        return InternalError(f"{type(error).__name__}: {error}")
    return None


class _Ring(Generic[R]):
    """A worker's slots, one after the other and again; each is waited for until the reader has given it back."""

    def __init__(self, memory: mmap.mmap, saying: int, hearing: int) -> None:
        self._memory = memoryview(memory)
        self._pipe = open(saying, "wb")  # noqa: SIM115 - it ends with the process
        self._hearing = hearing
        self._free = _SLOTS
        self._number = _SLOTS - 1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> memoryview:
        while not self._free:
            self._free += len(os.read(self._hearing, _SLOTS)) or self._alone()
        self._free -= 1
        self._number = (self._number + 1) % _SLOTS
        return self._memory[self._number * SLOT_BYTES : (self._number + 1) * SLOT_BYTES]

    def _alone(self) -> NoReturn:
        raise BrokenPipeError("the reader has gone")

    def send(self, parts: list[_Part[R]], slot: memoryview) -> None:
        """The parts that are in the slot, the last that was given; or in none."""
        self.say(self._number if slot else _NOWHERE, parts, None)

    def say(self, slot: int, parts: list[_Part[R]], failure: Exception | None) -> None:
        """One message."""
        import pickle

        pickle.dump((slot, parts, failure), self._pipe, pickle.HIGHEST_PROTOCOL)
        self._pipe.flush()
