"""One step whose definition is not in the cache: its content key, and, when that misses too, the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import msgspec

from jettison.base.digest import is_digest
from jettison.base.errors import Cancelled
from jettison.planning.ops import CopyOp
from jettison.record.model import KeyPart, StepCached, StepFinished, StepStarted
from jettison.solve import why
from jettison.solve.define import Defined, LocalRead, keyed, read_local
from jettison.solve.faults import Fault
from jettison.solve.key import content_key, read_by_content, result_id, sealed
from jettison.solve.performed import EMPTY, Performed, Site, is_source
from jettison.solve.ports import Cancel, Candidate, Emit, Entry, Executor, Inputs, Key, Result, ResultCache

CONTENT = "content"
EQUAL_BYTES = "equal-bytes"

Inputted = tuple[Result | None, ...]


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
        self._saved: set[tuple[str, tuple[KeyPart, ...]]] = set()
        self._was_known: dict[str, bool] = {}  # by op digest, when it was first performed
        self._unread: dict[tuple[str, str], str] = {}  # who copied unread, by op digest and tree below
        self._turns = Turns()
        self._unsaved: list[Entry] = []

    def recall(self, defined: Defined, inputs: Inputted, twins: tuple[str, ...] = ()) -> Performed | None:
        """An earlier result on those inputs, where that can be told without reading any file; else None, and `perform`
        tells. For one thread alone: what it finds is noted, and kept by `keep_recalled`. Raises Fault.
        """
        if defined.key is None or any(inputs[index] is not None for index in read_by_content(defined.step.op)):
            return None
        try:
            key = self._content_key(defined, inputs)
            found = self._cache.find(key.digest)
        except Exception as error:
            raise Fault(defined.step, error) from error
        if found is None:
            return None
        result = _on(inputs, found)
        self._unsaved.extend(self._entries(defined, key, result, twins))
        return self._told(defined, result)

    def keep_recalled(self) -> None:
        """Save what `recall` found since the last call, all at once: a transaction costs more than a result."""
        entries, self._unsaved = self._unsaved, []
        if entries:
            self._keep(entries)

    def perform(
        self,
        defined: Defined,
        inputs: Inputted,
        keys: tuple[Key | None, ...] = (),
        *,
        asked: str = "",
        twins: tuple[str, ...] = (),
    ) -> Performed:
        """The step's result on those inputs, whose definition keys are `keys`. `asked`, a flag: it runs, and what it
        yields is what counts. `twins` are the steps that are the same as this one. Raises Fault.
        """
        attempt = _Attempt(twins, asked, keys)
        try:
            if defined.key is None:
                return self._perform_open(defined, inputs, attempt)
            return self._perform(defined, inputs, attempt)
        except Exception as error:
            self._give_up(attempt)
            raise Fault(defined.step, error, started=attempt.started) from error

    def _perform(self, defined: Defined, inputs: Inputted, attempt: _Attempt) -> Performed:
        if self._is_unheard_of(defined, inputs):
            self._go_on()
            return self._run(defined, None, inputs, attempt)
        key = self._content_key(defined, inputs)
        with self._turns.of(key.digest):
            self._go_on()
            found = None if attempt.asked else self._cache.find(key.digest)
            if found is not None:
                return self._reuse(defined, key, inputs, found, attempt.twins)
            return self._run(defined, key, inputs, attempt)

    def _perform_open(self, defined: Defined, inputs: Inputted, attempt: _Attempt) -> Performed:
        """A step that cannot be known runs, and its keys are of what it took. One at a time of each op: the next finds
        what this one left, or at least need not read its files.
        """
        with self._turns.of(defined.op_digest):
            self._go_on()
            if attempt.asked or self._is_new(defined):
                return self._run(defined, None, inputs, attempt)
        local = read_local(defined.step, defined.open, self._inputs)
        return self._perform(keyed(msgspec.structs.replace(defined, local=local), attempt.keys), inputs, attempt)

    def _is_new(self, defined: Defined) -> bool:
        """Whether nothing is there that it could be, nor that it is to be compared with (`_reason`)."""
        if self._cache.known_ops((defined.op_digest,)):
            return False
        return self._cache.last_at(self._sites[defined.step.id].text()) is None

    def _is_unheard_of(self, defined: Defined, inputs: Inputted) -> bool:
        """Whether a copy from layers runs before anybody has read what it takes: no result of its op was saved before
        this build, nothing stood at its place, and no other step of this build does the same on the same tree.
        """
        op, digest = defined.step.op, defined.op_digest
        if not isinstance(op, CopyOp) or all(inputs[index] is None for index in read_by_content(op)):
            return False
        if digest not in self._was_known:
            self._was_known.setdefault(digest, bool(self._cache.known_ops((digest,))))
        if self._was_known[digest] or self._cache.last_at(self._sites[defined.step.id].text()) is not None:
            return False
        place = (digest, _base(inputs).id)
        return self._unread.setdefault(place, defined.step.id) == defined.step.id

    def _took(self, defined: Defined, attempt: _Attempt) -> Defined:
        """A step that just ran, with the key of what it took of local contexts, as far as that is told. A file that
        changed after it was read is in the result as it then was, and so it must be in the key.
        """
        local = dict(defined.local)
        for index in (*defined.open, *defined.local):
            taken = self._inputs.taken(defined.step, index)
            if taken is not None:
                local[index] = LocalRead(*taken)
        unread = [index for index in defined.open if index not in local]
        local |= read_local(defined.step, unread, self._inputs)
        return defined if local == defined.local else keyed(msgspec.structs.replace(defined, local=local), attempt.keys)

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

    def _reuse(self, defined: Defined, key: Key, inputs: Inputted, found: Result, twins: tuple[str, ...]) -> Performed:
        result = _on(inputs, found)
        self._keep(self._entries(defined, key, result, twins))
        return self._told(defined, result)

    def _told(self, defined: Defined, result: Result) -> Performed:
        self._emit(StepCached(step=defined.step.id, hit=CONTENT))
        return Performed(result=result, key=defined.whole_key(), hit=CONTENT)

    def _run(self, defined: Defined, key: Key | None, inputs: Inputted, attempt: _Attempt) -> Performed:
        """Run the step. `key` is its content key, None for an open one."""
        step = defined.step
        reason = attempt.asked or (why.FIRST_BUILD if key is None else self._reason(defined, key))
        self._emit(StepStarted(step=step.id, reason=reason))
        attempt.started = True
        began = time.monotonic()
        attempt.added = self._executor.execute(step, inputs, self._emit, self._stop)
        took, read = self._took(defined, attempt), key is not None
        if key is None or took is not defined:
            defined, key = took, self._content_key(took, inputs)
        with nullcontext() if read else self._turns.of(key.digest):
            result, equal = self._settle(defined, inputs, attempt, "" if read else key.digest)
            self._keep(self._entries(defined, key, result, attempt.twins))
        attempt.added = ()
        duration = round((time.monotonic() - began) * 1000, 3)
        self._emit(StepFinished(step=step.id, duration_ms=duration))
        if equal:
            self._emit(StepCached(step=step.id, hit=EQUAL_BYTES))
        hit = EQUAL_BYTES if equal else ""
        return Performed(result=result, key=defined.whole_key(), hit=hit, reason=reason, duration_ms=duration)

    def _settle(self, defined: Defined, inputs: Inputted, attempt: _Attempt, key: str) -> tuple[Result, bool]:
        """The result of what was added; and whether an earlier run of the op added equal bytes, which are then used.
        `key` is a content key of which nobody has asked yet whether it is known.
        """
        base, added = _base(inputs), attempt.added
        digests = self._digests(added)
        earlier = () if attempt.asked or not digests else self._comparable(defined, key)
        twin = next((each for each in earlier if self._equals(each, added, digests)), None)
        if twin is not None:
            attempt.added = ()
            self._executor.discard(added)
            added = twin
        made_of = _identities(inputs)
        result = Result(id=result_id(base.id, digests), layers=(*base.layers, *added), added=added, inputs=made_of)
        return result, twin is not None

    def _comparable(self, defined: Defined, key: str) -> Iterator[tuple[str, ...]]:
        """What earlier runs added that may be what a step added now."""
        found = self._cache.find(key) if key else None
        if found is not None:
            yield found.added
        for each in self._cache.candidates(defined.op_digest):
            yield each.result.added

    def _equals(self, earlier: tuple[str, ...], added: tuple[str, ...], digests: tuple[str, ...]) -> bool:
        return len(earlier) == len(digests) and earlier != added and self._digests(earlier) == digests

    def _digests(self, layers: tuple[str, ...]) -> tuple[str, ...]:
        """What each layer holds. A base's diff_id says so already, and its bytes need not even be here."""
        return tuple(layer if is_digest(layer) else self._inputs.layer_digest(layer) for layer in layers)

    def _reason(self, defined: Defined, key: Key) -> str:
        step, site = defined.step, self._sites[defined.step.id]
        here = self._cache.last_at(site.text())
        own = len(defined.parts)
        same: tuple[Candidate, ...] = ()
        if here is None or here.parts[:own] != _as_told_by(here, key)[:own]:
            same = self._earlier(defined)
        before = _first_in(site.stage, same) or here or _first_in(site.project, same)
        if before is not None:
            found = why.reason(before.parts, _as_told_by(before, key), why.labels(step, defined.producers))
            return why.NOT_GIVEN if before.salt and found == why.GONE else found
        if is_source(step.op):
            return why.FIRST_FETCH
        return why.first_build(site.platform if any(site.is_elsewhere(each.site) for each in same) else "")

    def _earlier(self, defined: Defined) -> tuple[Candidate, ...]:
        """Results of the op from before this build: its stage got or lost a line, or has another name."""
        found = self._cache.candidates(defined.op_digest)
        return tuple(each for each in found if (each.site, each.parts) not in self._saved)

    def _entries(self, defined: Defined, key: Key, result: Result, twins: tuple[str, ...]) -> list[Entry]:
        """The result, as what stands at the sites of all steps that are this one."""
        return [
            Entry(
                keys=(defined.whole_key(), key),
                op_digest=defined.op_digest,
                site=self._sites[name].text(),
                result=result,
            )
            for name in (*twins, defined.step.id)
        ]

    def _keep(self, entries: list[Entry]) -> None:
        self._cache.save(*entries)
        self._saved.update((entry.site, entry.keys[-1].parts) for entry in entries)

    def _give_up(self, attempt: _Attempt) -> None:
        """The step failed after its layers were made: nobody will ever name them."""
        if attempt.added:
            try:
                self._executor.discard(attempt.added)
            except Exception:  # noqa: BLE001, S110 - the first error is the one to tell; gc finds the layers
                pass


class _Attempt:
    """How a step is to be performed (see `Performer.perform`), and how far it came: what is to be taken back when it
    fails.
    """

    def __init__(self, twins: tuple[str, ...], asked: str, keys: tuple[Key | None, ...]) -> None:
        self.twins = twins
        self.asked = asked
        self.keys = keys
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


def _as_told_by(candidate: Candidate, key: Key) -> tuple[KeyPart, ...]:
    """The key's parts in the form that those of the candidate have."""
    return sealed(key.parts, candidate.salt) if candidate.salt else key.parts


def _first_in(place: str, candidates: Iterable[Candidate]) -> Candidate | None:
    return next((each for each in candidates if each.site.startswith(place)), None)


def _base(inputs: Inputted) -> Result:
    """What the step stands on: its first input's tree. Sources, and steps on a local context, begin with nothing."""
    return (inputs[0] if inputs else None) or EMPTY


def _on(inputs: Inputted, found: Result) -> Result:
    """An earlier result that fits: its layers, on what the step stands on now (equal bytes, maybe in other layers)."""
    stack = (*_base(inputs).layers, *found.added)
    return Result(id=found.id, layers=stack, added=found.added, inputs=_identities(inputs))


def _identities(inputs: Inputted) -> tuple[str, ...]:
    """Of what a step reads, apart from local files."""
    return tuple(result.id for result in inputs if result is not None)
