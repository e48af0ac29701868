"""In the keeper's child: a request, the work it asks for, a last reply; and the next one. What fails is a Failed.

A fork costs less than what comes after it: every page of the keeper that a child writes to, and a reference counted is
a write, is copied then. So a child that has done one of the usual requests waits for another from the same asker.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from jettison.base.errors import InternalError
from jettison.sandbox import launch, probe, spec, storage, syscalls
from jettison.sandbox.desk import Desk, Stopped, failure
from jettison.sandbox.files import FILE_WORK
from jettison.sandbox.frames import Reader, decoder, send
from jettison.sandbox.run import run
from jettison.sandbox.sockets import Socket
from jettison.sandbox.tier import ROOT, ROOTLESS, Tier

# A tier is a value and the one who runs steps in it.
RUNNERS: dict[str, Callable[[spec.RunRequest, Desk], spec.Reply]] = {ROOT: run, ROOTLESS: run}
_STOPPED = 143  # how a child ends that was told to: 128 + SIGTERM
_SLIM_BYTES = 64 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def warm() -> None:
    """Make what every child will need, so that it has it by being forked."""
    for kind in (spec.AnyRequest, launch.AnyStatus):
        decoder(kind)


def warm_up() -> None:
    """Import what only some requests need: they would do it themselves, each of them again."""
    import jettison.sandbox.archives  # noqa: F401 - what a child finds imported, it need not import


def serve(reply: Socket, fds: tuple[int, ...], state: Tier | spec.Failed | None) -> None:
    """Read the request that waits at `reply`, do it, answer, until the asker has no more of them.

    At each answer all that was started for it has ended.
    """
    signal.signal(signal.SIGTERM, _stop)
    reader: Reader[spec.AnyRequest] = Reader(reply, spec.AnyRequest)
    request: spec.AnyRequest | None = None
    try:
        while (request := reader.next()) is not None:
            answer = _answer(request, state, lambda frame: send(reply, frame), fds)
            if not _stays(request, answer, fds):
                send(reply, answer)
                return
            send(reply, answer, spec.Free())
            request = None
    except (Stopped, BrokenPipeError):
        if request is not None:
            os._exit(_STOPPED)


def _stays(request: spec.AnyRequest, answer: spec.Reply, fds: tuple[int, ...]) -> bool:
    """Whether this process is, after that request, as good as a new one."""
    if fds or isinstance(answer, spec.Failed) or not isinstance(request, spec.USUAL):
        return False
    with open("/proc/self/statm", "rb") as file:
        resident_bytes = int(file.read().split()[1]) * _PAGE_BYTES
    # A large process that waits would keep its memory, and be slow to fork; one with threads may not be forked.
    return resident_bytes <= _SLIM_BYTES and threading.active_count() == 1 and syscalls.is_in_own_pid_namespace()


def _stop(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what is taken back is not to be interrupted
    raise Stopped


def _answer(
    request: spec.AnyRequest,
    state: Tier | spec.Failed | None,
    emit: Callable[[spec.Reply], None],
    fds: tuple[int, ...],
) -> spec.Reply:
    try:
        if isinstance(request, spec.ExamineRequest):
            return spec.Examined(reports=probe.examine(request.store_root))
        if isinstance(state, spec.Failed):
            return state
        if state is None:
            return failure(InternalError("this keeper has entered no tier"))
        return handle(request, Desk(state, emit, fds))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where a fault can be told
        return failure(error)


def handle(request: spec.AnyRequest, desk: Desk) -> spec.Reply:
    """Do what is asked; the reply."""
    match request:
        case spec.TierRequest():
            return spec.Placed(tier=desk.tier)
        case spec.RunRequest():
            return RUNNERS[desk.tier.name](request, desk)
        case spec.RemoveRequest():
            for path in request.paths:
                storage.remove_tree(path)
            return spec.Done()
        case spec.SizeRequest():
            return spec.Done(sizes=tuple(map(storage.size_of, request.paths)))
        case _:
            return work_of(type(request))(request, desk)


def work_of(kind: type[spec.Request]) -> Callable[[Any, Desk], spec.Reply]:
    """Who answers that kind of request."""
    if kind in FILE_WORK:
        return FILE_WORK[kind]
    from jettison.sandbox.archives import ARCHIVE_WORK

    return ARCHIVE_WORK[kind]
