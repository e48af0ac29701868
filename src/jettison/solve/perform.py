"""One step whose definition is not in the cache: its content key, and, when that misses too, the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from jettison.base.digest import is_digest
from jettison.base.errors import Cancelled
from jettison.planning import ops
from jettison.record.model import StepCached, StepFinished, StepStarted
from jettison.solve import why
from jettison.solve.define import Defined
from jettison.solve.faults import Fault
from jettison.solve.key import EMPTY_TREE, content_key, read_by_content, result_id
from jettison.solve.ports import Cancel, Candidate, Emit, Executor, Inputs, Key, Result, ResultCache

CONTENT = "content"
EQUAL_BYTES = "equal-bytes"

EMPTY = Result(id=EMPTY_TREE)
Inputted = tuple[Result | None, ...]


class Performed(msgspec.Struct, frozen=True, kw_only=True):
    """What a step yielded, and how: `hit` "" ran, content, or equal-bytes (it ran, and yielded what was there)."""

    result: Result
    hit: str = ""
    reason: str = ""
    duration_ms: float = 0.0


class Site(NamedTuple):
    """Where a step stands: its project (one context on one platform) and its name there."""

    project: str
    name: str

    def text(self) -> str:
        """As the cache has it: the texts of a project's sites begin with the project."""
        return self.project + self.name


class Performer:
    """Performs steps, from several threads at once. `sites` has the place of each, by id."""

    def __init__(
        self,
        *,
        cache: ResultCache,
        inputs: Inputs,
        executor: Executor,
        emit: Emit,
        stop: Cancel,
        sites: Mapping[str, Site],
    ) -> None:
        self._cache = cache
        self._inputs = inputs
        self._executor = executor
        self._emit = emit
        self._stop = stop
        self._sites = sites
        self._turns = Turns()

    def perform(self, defined: Defined, inputs: Inputted, *, forced: bool) -> Performed:
        """The step's result on those inputs. `forced`: it runs, and what it yields is what counts. Raises Fault."""
        attempt = _Attempt()
        try:
            key = self._content_key(defined, inputs)
            with self._turns.of(key.digest):
                self._go_on()
                found = None if forced else self._cache.find(key.digest)
                if found is not None:
                    return self._reuse(defined, key, inputs, found)
                return self._run(defined, key, inputs, attempt, forced=forced)
        except Exception as error:
            self._give_up(attempt)
            raise Fault(defined.step, error, started=attempt.started) from error

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Cancelled("cancelled")

    def _content_key(self, defined: Defined, inputs: Inputted) -> Key:
        """What the step reads. A source reads nothing: its content key is one of the op alone."""
        paths = read_by_content(defined.step.op)
        values = [self._read(defined, index, result, paths) for index, result in enumerate(inputs)]
        files = tuple(part for read in defined.local.values() for part in read.parts)
        return content_key(defined.parts, values, files)

    def _read(self, defined: Defined, index: int, result: Result | None, paths: frozenset[int]) -> str:
        if result is None:
            return defined.local[index].digest
        if index in paths:
            return self._inputs.stack_digest(defined.step, index, result.layers)
        return result.id

    def _reuse(self, defined: Defined, key: Key, inputs: Inputted, found: Result) -> Performed:
        """An earlier result fits: its layers, on what the step stands on now (equal bytes, maybe in other layers)."""
        base = _base(inputs)
        result = Result(id=found.id, layers=(*base.layers, *found.added), added=found.added)
        self._cache.save((defined.key, key), defined.op_digest, self._site(defined), result)
        self._emit(StepCached(step=defined.step.id, hit=CONTENT))
        return Performed(result=result, hit=CONTENT)

    def _run(self, defined: Defined, key: Key, inputs: Inputted, attempt: _Attempt, *, forced: bool) -> Performed:
        step = defined.step
        reason = why.ASKED if forced else self._reason(defined, key)
        self._emit(StepStarted(step=step.id, reason=reason))
        attempt.started = True
        began = time.monotonic()
        attempt.added = self._executor.execute(step, inputs, self._emit, self._stop)
        result, equal = self._settle(defined, inputs, attempt, forced=forced)
        self._cache.save((defined.key, key), defined.op_digest, self._site(defined), result)
        attempt.added = ()
        duration = round((time.monotonic() - began) * 1000, 3)
        self._emit(StepFinished(step=step.id, duration_ms=duration))
        if equal:
            self._emit(StepCached(step=step.id, hit=EQUAL_BYTES))
        return Performed(result=result, hit=EQUAL_BYTES if equal else "", reason=reason, duration_ms=duration)

    def _settle(self, defined: Defined, inputs: Inputted, attempt: _Attempt, *, forced: bool) -> tuple[Result, bool]:
        """The result of what was added; and whether an earlier run of the op added equal bytes, which are then used."""
        base, added = _base(inputs), attempt.added
        digests = self._digests(added)
        earlier = () if forced or not digests else self._cache.candidates(defined.op_digest)
        twin = next((each.result.added for each in earlier if self._equals(each.result.added, added, digests)), None)
        if twin is not None:
            attempt.added = ()
            self._executor.discard(added)
            added = twin
        result = Result(id=result_id(base.id, digests), layers=(*base.layers, *added), added=added)
        return result, twin is not None

    def _equals(self, earlier: tuple[str, ...], added: tuple[str, ...], digests: tuple[str, ...]) -> bool:
        return len(earlier) == len(digests) and earlier != added and self._digests(earlier) == digests

    def _digests(self, layers: tuple[str, ...]) -> tuple[str, ...]:
        """What each layer holds. A base's diff_id says so already, and its bytes need not even be here."""
        return tuple(layer if is_digest(layer) else self._inputs.layer_digest(layer) for layer in layers)

    def _reason(self, defined: Defined, key: Key) -> str:
        step = defined.step
        before = self._earlier(defined, key)
        if before is None and is_source(step.op):
            return why.FIRST_FETCH
        return why.reason(before.parts if before else None, key.parts, why.labels(step, defined.producers))

    def _earlier(self, defined: Defined, key: Key) -> Candidate | None:
        """What to compare with: the last result here if its op was this one, else this op's last one in the project
        (the Dockerfile got or lost a line), else whatever was here.
        """
        here = self._cache.last_at(self._site(defined))
        own = len(defined.parts)
        if here is not None and here.parts[:own] == key.parts[:own]:
            return here
        project = self._sites[defined.step.id].project
        same = (each for each in self._cache.candidates(defined.op_digest) if each.site.startswith(project))
        return next(same, here)

    def _site(self, defined: Defined) -> str:
        return self._sites[defined.step.id].text()

    def _give_up(self, attempt: _Attempt) -> None:
        """The step failed after its layers were made: nobody will ever name them."""
        if attempt.added:
            try:
                self._executor.discard(attempt.added)
            except Exception:  # noqa: BLE001, S110 - the first error is the one to tell; gc finds the layers
                pass


class _Attempt:
    """How far a step came: what is to be taken back when it fails."""

    def __init__(self) -> None:
        self.started = False
        self.added: tuple[str, ...] = ()


class Turns:
    """One at a time for each key: two steps of a build that turn out to be the same run once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, threading.Event] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Have the key to oneself. Waits for another thread that has it, which ends by itself."""
        mine = threading.Event()
        while (taken := self._claim(key, mine)) is not mine:
            taken.wait()
        try:
            yield
        finally:
            with self._lock:
                del self._taken[key]
            mine.set()

    def _claim(self, key: str, mine: threading.Event) -> threading.Event:
        with self._lock:
            return self._taken.setdefault(key, mine)


def _base(inputs: Inputted) -> Result:
    """What the step stands on: its first input's tree. Sources, and steps on a local context, begin with nothing."""
    return (inputs[0] if inputs else None) or EMPTY


def is_source(op: ops.AnyOp) -> bool:
    """Whether the op brings a tree from elsewhere: its results are found by what it is, and never forced."""
    return isinstance(op, (ops.ImageOp, ops.HttpOp, ops.GitOp, ops.ScratchOp))
