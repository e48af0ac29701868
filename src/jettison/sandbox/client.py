"""The driver's end of the keeper: starts it, asks it, ends it. Lean at import: a build with nothing to do has none.

Start it before the driver has threads where possible: then it may be a copy of the driver, which is ready sooner. Later
it is a fresh process (`birth`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

from jettison.base import errors
from jettison.sandbox import spec
from jettison.sandbox.frames import Reader, send
from jettison.sandbox.tier import Tier, TierReport

if TYPE_CHECKING:
    from jettison.sandbox.sockets import Socket

OnFrame = Callable[[spec.AnyFrame], None]
UNPLACED = "unplaced"  # as `isolation`: enter no tier; such a keeper only answers ExamineRequest
CANCEL_POLL_MS = 100
_CLOSE_SECONDS = 10.0
_MOST_FREE = 4  # children that wait: as many as things of a kind that are made at once


class Cancel(Protocol):
    """Has the caller asked to stop? An object that also has `fileno()` is heard at once, another within 100 ms."""

    def is_set(self) -> bool:
        """True from the moment of the request on."""


class Keeper:
    """One keeper process. `ask` may be called from any number of threads at once."""

    def __init__(self, pid: int, control: Socket, store_root: str) -> None:
        self._pid = pid
        self._store_root = store_root
        self._control = control
        self._closed = False
        self._lock = threading.Lock()
        self._placed: spec.AnyReply | None = None
        self._free: list[tuple[Socket, type[spec.Request]]] = []  # children that wait for another, and what they did
        self._free_lock = threading.Lock()

    @classmethod
    def start(cls, store_root: str, isolation: str | None = None) -> Keeper:
        """Start a keeper and return at once; it chooses its tier by trying, on the filesystem of `store_root`.

        `isolation` forces a tier by name. Where none works, every `ask` raises HostError and says why. Raises
        UsageError for an unknown tier, HostError where no process can be started.
        """
        from jettison.sandbox.birth import begin

        check_isolation(isolation)
        return cls(*begin(store_root, isolation), store_root)

    @property
    def tier(self) -> Tier:
        """The tier that it works in. Waits for the choice; raises HostError where no tier works."""
        with self._lock:
            if self._placed is None:  # the one thing that it says unasked, when it has chosen
                self._placed = Reader[spec.AnyReply](self._control, spec.AnyReply).next()
        if isinstance(self._placed, spec.Failed):
            raise self._raised(self._placed)
        if not isinstance(self._placed, spec.Placed):
            raise errors.HostError("the keeper process has ended")
        return self._placed.tier

    def ask(
        self,
        request: spec.AnyRequest,
        on_frame: OnFrame | None = None,
        fds: tuple[int, ...] = (),
        cancel: Cancel | None = None,
    ) -> spec.AnyReply:
        """Have `request` done and return its last reply; every process that it started has ended by then.

        `on_frame` gets all other frames, Output a line each. `fds` go along (of an interactive RunRequest).
        When `cancel` is set, or `on_frame` raises, the request's whole process tree is ended first. Raises what the
        keeper failed with, Cancelled, or HostError when the keeper or the worker died.
        """
        ours = self._waiting(type(request)) if isinstance(request, spec.USUAL) and not fds else None
        ours = ours or self._new(fds)
        reply: spec.AnyReply | None = None
        free = False
        try:
            send(ours, request)
            reply, free = self._await(ours, on_frame, cancel)
        except BrokenPipeError:
            pass
        except BaseException:
            _end(ours)
            raise
        finally:
            self._let_go(ours, type(request) if free else None)
        if reply is None:
            raise errors.HostError(
                f"the process that did a {type(request).__name__} ended unexpectedly",
                hint="it may have been killed for want of memory: see the kernel's log",
            )
        if isinstance(reply, spec.Failed):
            raise self._raised(reply)
        return reply

    def foresee_archives(self) -> None:
        """Say that several archives are going to be asked for: what that takes is imported once, not by each child."""
        try:
            self._control.send(b"!")
        except OSError:
            return  # it has ended: whoever asks is told

    def dismiss(self) -> None:
        """Tell the keeper to end, with all that it runs; `close` waits for that."""
        self._control.close()
        with self._free_lock:
            while self._free:
                self._free.pop()[0].close()

    def close(self) -> None:
        """End the keeper and all that it runs. May be called more than once."""
        if self._closed:
            return
        self._closed = True
        self.dismiss()
        _reap(self._pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _raised(self, failed: spec.Failed) -> errors.JettisonError:
        """A failure that the keeper told, as it is raised here."""
        if failed.kind == errors.HostError.__name__:  # this machine is not as it was when a tier was chosen, perhaps
            from jettison.sandbox.remembered import forget

            forget(self._store_root)
        error = errors.BY_NAME.get(failed.kind, errors.InternalError)(failed.message, hint=failed.hint)
        error.subject = failed.subject
        return error

    def _waiting(self, kind: type[spec.Request]) -> Socket | None:
        """A socket to a child of the keeper that waits, if there is one: the last to have done such a request, for that
        has in its memory what it takes; else the last one.
        """
        while True:
            with self._free_lock:
                if not self._free:
                    return None
                alike = (place for place in reversed(range(len(self._free))) if self._free[place][1] is kind)
                waiting, _ = self._free.pop(next(alike, -1))
            if not _says_something(waiting):
                return waiting
            waiting.close()  # unasked: it has ended

    def _new(self, fds: tuple[int, ...]) -> Socket:
        """A socket to a new child of the keeper, who gets `fds`."""
        from jettison.sandbox.sockets import pair

        ours, theirs = pair()
        with theirs:
            try:
                self._submit(theirs, fds)
            except BaseException:
                ours.close()
                raise
        return ours

    def _let_go(self, ours: Socket, did: type[spec.Request] | None) -> None:
        """Be done with a request. `did`: who did it waits for another."""
        with self._free_lock:
            if did is not None and not self._closed and len(self._free) < _MOST_FREE:
                self._free.append((ours, did))
                return
        ours.close()

    def _submit(self, reply: Socket, fds: tuple[int, ...]) -> None:
        from jettison.sandbox.sockets import send_fds

        try:
            send_fds(self._control, b"?", [reply.fileno(), *fds])
        except OSError as error:
            raise errors.HostError("the keeper process has ended") from error

    def _await(
        self, ours: Socket, on_frame: OnFrame | None, cancel: Cancel | None
    ) -> tuple[spec.AnyReply | None, bool]:
        """The last reply, after the worker said that it is free, or closed its end; None when it ended without one.
        And whether it is free.
        """
        reader: Reader[spec.AnyReply] = Reader(ours, spec.AnyReply)
        wait = _waiter(ours, cancel)
        last: spec.AnyReply | None = None
        while True:
            if cancel is not None and cancel.is_set():
                raise errors.Cancelled("cancelled")
            if not wait():
                continue
            if not reader.fill():
                return last, False
            while (frame := reader.take()) is not None:
                if isinstance(frame, spec.AnyFrame):
                    if on_frame is not None:
                        _deliver(frame, on_frame)
                elif isinstance(frame, spec.Free):
                    return last, True
                else:
                    last = frame


def examine(store_root: str) -> tuple[TierReport, ...]:
    """What each tier needs and whether it works here, by trying: `jettison doctor`. Takes about 100 ms."""
    with Keeper.start(store_root, UNPLACED) as keeper:
        reply = keeper.ask(spec.ExamineRequest(store_root=store_root))
    if not isinstance(reply, spec.Examined):
        raise errors.InternalError(f"the keeper answered {type(reply).__name__}")
    return reply.reports


def check_isolation(isolation: str | None) -> None:
    """Raise UsageError unless `isolation` names a tier (or is None)."""
    from jettison.sandbox.tier import NAMES

    if isolation is not None and isolation not in (*NAMES, UNPLACED):
        raise errors.UsageError(f"unknown isolation {isolation!r}", hint=f"one of: {', '.join(NAMES)}")


def _deliver(frame: spec.AnyFrame, on_frame: OnFrame) -> None:
    """One call a line: the worker sends whatever lines it read at once as one frame."""
    if not isinstance(frame, spec.Output):
        on_frame(frame)
        return
    start = 0
    while start < len(frame.data):  # only \n ends a line: a carriage return redraws it
        end = frame.data.find(b"\n", start, start + spec.MAX_OUTPUT_BYTES) + 1 or start + spec.MAX_OUTPUT_BYTES
        on_frame(spec.Output(stream=frame.stream, data=frame.data[start:end]))
        start = end


def _waiter(ours: Socket, cancel: Cancel | None) -> Callable[[], bool]:
    """A function that waits until the worker said something, or 100 ms, or `cancel` is heard; True for the first."""
    import select

    poll = select.poll()
    poll.register(ours, select.POLLIN)
    timeout: int | None = None
    if cancel is not None:
        fileno: Any = getattr(cancel, "fileno", None)
        if fileno is None:
            timeout = CANCEL_POLL_MS
        else:
            poll.register(fileno(), select.POLLIN)
    number = ours.fileno()
    return lambda: any(fd == number for fd, _ in poll.poll(timeout))


def _says_something(ours: Socket) -> bool:
    """Whether there is something to read, or the end."""
    import select

    poll = select.poll()
    poll.register(ours, select.POLLIN)
    return bool(poll.poll(0))


def _end(ours: Socket) -> None:
    """Have the request ended: the keeper hears that we hung up, and closes its end when all of it is gone."""
    from jettison.sandbox.sockets import SHUT_WR

    try:
        ours.shutdown(SHUT_WR)
        while ours.recv(1 << 16):
            pass
    except OSError:
        return  # the keeper is gone, and everything below it


def _reap(pid: int) -> None:
    """Wait for the keeper to end; kill it when it takes too long."""
    import select
    import signal

    try:
        handle = os.pidfd_open(pid)
    except OSError:
        handle = -1  # ended and reaped already, or a kernel without pidfds
    try:
        if handle >= 0 and not select.select([handle], [], [], _CLOSE_SECONDS)[0]:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
    finally:
        if handle >= 0:
            os.close(handle)
