"""What may run next: a state machine of names, which knows nothing of threads, keys or files.

A step is wanted when it is asked for, or when a wanted step that has no result yet reads it. So demand goes from the
target down, and stops at every step whose result is known: what only known steps read is never built.

    idle ──wanted──► waiting ──all inputs done──► ready ──take──► running ──done──► done
      └───────────────────────── known ───────────────────────────────────────────►─┘
                                                                     └──fail──► failed

After a failure, or `stop`, nothing is taken any more; the machine is finished when nothing runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

IDLE = "idle"
WAITING = "waiting"
READY = "ready"
RUNNING = "running"
DONE = "done"
FAILED = "failed"


class Schedule:
    """`inputs` maps every step, in topological order, to the steps that it reads; `known` have their results."""

    def __init__(
        self, inputs: Mapping[str, tuple[str, ...]], wanted: Collection[str], known: Collection[str] = ()
    ) -> None:
        self._inputs = {step: frozenset(reads) for step, reads in inputs.items()}
        self._order = {step: number for number, step in enumerate(inputs)}
        self._state = {step: DONE if step in known else IDLE for step in inputs}
        self._readers: dict[str, list[str]] = {step: [] for step in inputs}
        self._missing: dict[str, int] = {}
        self._ready: set[str] = set()
        self._running = 0
        self._unfinished = 0
        self._stopped = False
        self._demand(wanted)

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing will."""
        return self._running == 0 and (self._stopped or self._unfinished == 0)

    def state(self, step: str) -> str:
        """Where the step is: idle, waiting, ready, running, done or failed."""
        return self._state[step]

    def take(self) -> str | None:
        """The first ready step in order of the plan, which runs from now on; None when none is ready."""
        if self._stopped or not self._ready:
            return None
        step = min(self._ready, key=self._order.__getitem__)
        self._ready.discard(step)
        self._state[step] = RUNNING
        self._running += 1
        return step

    def done(self, step: str) -> None:
        """A running step has its result."""
        self._end(step, DONE)
        self._unfinished -= 1
        for reader in self._readers[step]:
            self._missing[reader] -= 1
            if self._missing[reader] == 0:
                self._become_ready(reader)

    def fail(self, step: str) -> None:
        """A running step failed: nothing is taken any more."""
        self._end(step, FAILED)
        self.stop()

    def stop(self) -> None:
        """Take nothing any more; what runs is still to be told `done` or `fail`."""
        self._stopped = True

    def _demand(self, wanted: Collection[str]) -> None:
        waiting = list(wanted)
        while waiting:
            step = waiting.pop()
            if self._state[step] != IDLE:
                continue
            self._state[step] = WAITING
            self._unfinished += 1
            missing = [read for read in self._inputs[step] if self._state[read] != DONE]
            self._missing[step] = len(missing)
            for read in missing:
                self._readers[read].append(step)
            waiting.extend(missing)
            if not missing:
                self._become_ready(step)

    def _become_ready(self, step: str) -> None:
        self._state[step] = READY
        self._ready.add(step)

    def _end(self, step: str, state: str) -> None:
        if self._state[step] != RUNNING:
            raise AssertionError(f"step {step} is {self._state[step]}, not running")
        self._state[step] = state
        self._running -= 1
