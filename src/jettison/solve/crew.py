"""Threads with an owner: each is started for one piece of work, answers once, and ends before its owner does."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Crew(Generic[T]):
    """A context manager: when it is left, for whatever reason, all its threads have ended."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._answers: deque[tuple[str, T | BaseException]] = deque()
        self._threads: dict[str, threading.Thread] = {}

    def __len__(self) -> int:
        """How many pieces of work have not been answered to `wait`."""
        return len(self._threads)

    def start(self, name: str, work: Callable[[], T]) -> None:
        """Begin a piece of work under a name of its own."""
        thread = threading.Thread(target=self._do, args=(name, work), name=f"jettison {name}")
        self._threads[name] = thread
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            del self._threads[name]
            raise

    def wait(self) -> tuple[str, T | BaseException]:
        """The next answer: the work's name, and what it returned or raised.

        It waits for answers, not by `join`: a join that Ctrl-C interrupts takes the thread for ended (CPython 3.11).
        """
        with self._news:
            while not self._answers:
                self._news.wait()
            name, answer = self._answers.popleft()
        self._threads.pop(name).join()
        return name, answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        interrupted: KeyboardInterrupt | None = None
        while self._threads:
            try:
                self.wait()
            except KeyboardInterrupt as again:  # asked once more: they are told already, and must not be left
                interrupted = again
        if interrupted is not None and kind is None:
            raise interrupted

    def _do(self, name: str, work: Callable[[], T]) -> None:
        answer: T | BaseException
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - the owner raises it, in its own thread
            answer = error
        with self._news:
            self._answers.append((name, answer))
            self._news.notify()
