"""flocks: on files, dropped by the kernel when their holder dies. Lock order: store, stage, blob (mechanisms §3)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from jettison.base.errors import Cancelled, HostError

FIRST_WAIT_S = 0.005
LONGEST_WAIT_S = 0.2


class Stop(Protocol):
    """What a wait asks between tries: has the caller asked to stop?"""

    def is_set(self) -> bool: ...


def try_lock(path: str, *, shared: bool = False) -> int | None:
    """The descriptor that holds the lock on `path` (made if missing), or None when somebody else has it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _flock(fd, shared=shared)
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return None
            raise HostError(f"{path} cannot be locked: {error.strerror}") from error
        if _still_there(fd, path):
            return fd
        os.close(fd)  # its last holder removed it: what we locked is nobody's any more


def lock(path: str, *, shared: bool = False, cancel: Stop | None = None) -> int:
    """Like `try_lock`, but waits. Raises Cancelled when `cancel` is set meanwhile.

    It tries again and again rather than block: a blocked flock in a thread cannot be called off.
    """
    wait = FIRST_WAIT_S
    while (fd := try_lock(path, shared=shared)) is None:
        if cancel is not None and cancel.is_set():
            raise Cancelled("cancelled while waiting for another build")
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_S)
    return fd


@contextmanager
def held(path: str, *, shared: bool = False, cancel: Stop | None = None, remove: bool = False) -> Iterator[None]:
    """Hold the lock on `path`. `remove`: take the file away afterwards (only for exclusive locks)."""
    fd = lock(path, shared=shared, cancel=cancel)
    try:
        yield
    finally:
        if remove:
            _unlink(path)
        os.close(fd)


class Gate:
    """The store's own lock. Builds pass it shared, for moments: while they look something up and pin it.

    Whoever removes things takes it exclusively, so between a look-up and its pin nothing vanishes. Threads of one
    process share one descriptor.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._turn = threading.Condition()
        self._passing = 0
        self._fd = -1

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Pass with others."""
        with self._turn:
            if self._passing == 0:
                self._fd = lock(self._path, shared=True)
            self._passing += 1
        try:
            yield
        finally:
            with self._turn:
                self._passing -= 1
                if self._passing == 0:
                    os.close(self._fd)
                    self._turn.notify_all()

    @contextmanager
    def exclusive(self, cancel: Stop | None = None) -> Iterator[None]:
        """Pass alone, in this process and among all. Never from within `shared`."""
        with self._turn:
            self._turn.wait_for(lambda: self._passing == 0)
            with held(self._path, cancel=cancel):
                yield


def _still_there(fd: int, path: str) -> bool:
    try:
        now = os.stat(path)
    except OSError:
        return False
    ours = os.fstat(fd)
    return (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _flock(fd: int, *, shared: bool) -> None:
    """One try: BlockingIOError when it is taken. fcntl is looked for late: Windows can import us all the same."""
    try:
        import fcntl
    except ImportError as error:
        raise HostError("the store needs file locks (flock), which this system does not have") from error
    fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
