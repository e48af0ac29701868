"""Work on many small files, shared out to forked processes: faster than any number of threads (mechanisms: the keeper).

Only where the caller has no threads of its own, as the keeper's children have none.
"""

from __future__ import annotations

import itertools
import os
import pickle
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

from jettison.base.errors import InternalError, JettisonError

T = TypeVar("T")
R = TypeVar("R")


def in_processes(work: Callable[[Sequence[T]], list[R]], items: Sequence[T], workers: int) -> list[R]:
    """`work` on all of `items`, cut into `workers` runs of neighbours, the last one done here; all results, in order.

    The first failure is raised again here, when all have ended: a JettisonError or OSError as it was, anything else as
    an InternalError. With fewer than two workers nothing is forked.
    """
    if workers < 2:
        return work(items)
    cuts = [len(items) * number // workers for number in range(workers + 1)]
    runs = [items[start:end] for start, end in itertools.pairwise(cuts)]
    children: list[tuple[int, int]] = []
    try:
        for run in runs[:-1]:
            children.append(_fork(work, run))  # noqa: PERF401 - what was forked must be known when a fork fails
        mine = work(runs[-1])
        answers: list[list[R]] = [_answer(pid, pipe) for pid, pipe in children]
    except BaseException:
        for pid, _ in children:
            _stop(pid)
        raise
    finally:
        for _, pipe in children:
            os.close(pipe)
    return [result for answer in answers for result in answer] + mine


def _fork(work: Callable[[Sequence[T]], list[R]], run: Sequence[T]) -> tuple[int, int]:
    """A child that does one run, and the pipe that its answer comes from."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(reading)
        with open(writing, "wb") as pipe:
            pipe.write(_done(work, run))
        status = 0
    finally:
        os._exit(status)


def _done(work: Callable[[Sequence[T]], list[R]], run: Sequence[T]) -> bytes:
    try:
        return pickle.dumps((work(run), None))
    except (JettisonError, OSError) as error:
        return pickle.dumps((None, error))
    except Exception as error:  # noqa: BLE001 - a child's last words
        return pickle.dumps((None, InternalError(f"{type(error).__name__}: {error}")))


def _answer(pid: int, pipe: int) -> list[R]:
    with open(pipe, "rb", closefd=False) as file:
        data = file.read()
    _wait(pid)
    if not data:
        raise InternalError("a worker process ended without an answer", hint="was it killed for want of memory?")
    result, error = pickle.loads(data)  # noqa: S301 - from our own child
    if error is not None:
        raise error
    found: list[R] = result
    return found


def _stop(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    _wait(pid)


def _wait(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # waited for already
