"""The driver: definition keys for all, then what is missing runs, in threads, as far as the target needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import msgspec

from jettison.base.errors import Cancelled, InternalError
from jettison.planning import ops
from jettison.planning.graph import Plan, Step
from jettison.planning.merge import own_name
from jettison.record.model import StepCached
from jettison.solve.define import Defined, define, keyed, read_local
from jettison.solve.faults import Fault
from jettison.solve.known import Known
from jettison.solve.performed import Performed, Site, is_source
from jettison.solve.ports import Cancel, Emit, Entry, Executor, Inputs, Key, Result, ResultCache
from jettison.solve.schedule import Schedule

if TYPE_CHECKING:
    from jettison.solve.crew import Crew
    from jettison.solve.perform import Performer

DEFINITION = "definition"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a step. `verdict`: ran, cached or unneeded. `hit`: definition, content, equal-bytes or ""."""

    verdict: str
    hit: str = ""
    reason: str = ""
    duration_ms: float = 0.0


class SolveOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """By step id: every result that is known (unneeded steps' too, where the cache has them), the definition key of
    every step but the local contexts, with its parts, and what became of each.
    """

    results: dict[str, Result]
    keys: dict[str, Key]
    verdicts: dict[str, Verdict]


def solve(
    *plans: Plan,
    cache: ResultCache,
    inputs: Inputs,
    executor: Executor,
    emit: Emit,
    cancel: Cancel,
    jobs: int,
    no_cache: bool = False,
    no_cache_stages: Collection[str] = (),
    scope: str = "",
) -> SolveOutcome:
    """Make what the plans' targets need; the results of all steps of their lineages are in the outcome.

    Several plans have ids that are unique across them (`planning.merge`); a step of the same id is one step. Up to
    `jobs` steps of all stages of all plans run at once. `no_cache`: every step runs; `no_cache_stages`: those of these
    stages (as `Step.stage` has them); sources are not forced. `scope` names the project (e.g. the context's path): what
    a miss is compared with comes from there first.

    At the first failure the others are called off and waited for; then it is raised, placed at its step. Raises what
    the ports raise, and Cancelled. However it ends, no thread is left, and what was finished is in the cache.
    """
    stop, sites = _Stop(cancel), _sites(plans, scope)
    steps = {step.id: step for plan in plans for step in plan.steps}

    def performer() -> Performer:
        from jettison.solve.perform import Performer

        return Performer(cache=cache, inputs=inputs, executor=executor, emit=emit, stop=stop, sites=sites)

    try:
        defined = define(tuple(steps.values()), inputs, cache, stop, max(1, jobs))
        forced = _forced(defined, no_cache=no_cache, stages=frozenset(stage.lower() for stage in no_cache_stages))
        return _Solve(
            plans,
            defined,
            forced,
            cache=cache,
            inputs=inputs,
            executor=executor,
            emit=emit,
            stop=stop,
            sites=sites,
            performer=performer,
        ).run(max(1, jobs))
    except Fault as fault:
        fault.tell(emit)
        raise fault.error from fault.error.__cause__


def _sites(plans: Collection[Plan], scope: str) -> dict[str, Site]:
    """Where each step stands: a step has one site, whether its platform is built alone or with others."""
    sites: dict[str, Site] = {}
    for plan in plans:
        for step in plan.steps:
            sites.setdefault(step.id, Site(scope, plan.platform, own_name(step.id, plan.platform)))
    return sites


class _Stop:
    """The caller's Cancel, and our own: set by the first failure."""

    def __init__(self, cancel: Cancel) -> None:
        self._cancel = cancel
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set or self._cancel.is_set()


def _forced(defined: Mapping[str, Defined], *, no_cache: bool, stages: frozenset[str]) -> dict[str, str]:
    """The steps that run whatever is known, each with the flag that wants it."""
    return {
        name: _asked(each.step.stage, every=no_cache)
        for name, each in defined.items()
        if (no_cache and not is_source(each.step.op))
        or (each.step.stage.lower() in stages and not is_source(each.step.op))
        or (isinstance(each.step.op, ops.RunOp) and each.step.op.run_only.ignore_cache)
    }


def _asked(stage: str, *, every: bool) -> str:
    """The flag that makes a step of that stage run, whatever is known. `every`: all of them run."""
    return "--no-cache" if every else f"--no-cache-filter {stage}"


class _Solve:
    """One solve. Steps with equal definitions are one: the first of them, their leader, stands for all."""

    def __init__(
        self,
        plans: tuple[Plan, ...],
        defined: dict[str, Defined],
        forced: Mapping[str, str],
        *,
        cache: ResultCache,
        inputs: Inputs,
        executor: Executor,
        emit: Emit,
        stop: _Stop,
        sites: Mapping[str, Site],
        performer: Callable[[], Performer],
    ) -> None:
        self._executor = executor
        self._inputs = inputs
        self._lineages = tuple(plan.lineage for plan in plans)
        self._defined = defined
        self._leader = _leaders(defined)
        self._forced = {self._leader[name]: flag for name, flag in forced.items()}
        self._followers = _followers(self._leader)
        self._cache = cache
        self._emit = emit
        self._stop = stop
        self._sites = sites
        self._make_performer = performer
        self._performer: Performer
        self._wanted = tuple(self._leader[name] for plan in plans for name in (*plan.lineage, plan.result))
        self._results: dict[str, Result] = {}  # of leaders
        self._performed: dict[str, Performed] = {}
        self._other: set[str] = set()  # leaders whose keys are not those of the beginning
        self._schedule: Schedule

    def run(self, jobs: int) -> SolveOutcome:
        reads = {
            name: tuple(self._leader[each] for each in defined.step.inputs if each in self._leader)
            for name, defined in self._defined.items()
            if self._leader[name] == name
        }
        known = Known(self._defined, self._leader, reads, self._cache)
        self._results = known.results(self._lineages, self._wanted, frozenset(self._forced))
        self._schedule = Schedule(reads, self._wanted, self._results)
        if not self._schedule.finished:
            self._executor.prepare()
        self._tell_hits()
        if not self._schedule.finished:
            from jettison.solve.crew import Crew

            self._performer = self._make_performer()
            with Crew[Performed]() as crew:
                self._drive(crew, jobs)
        return self._outcome()

    def _tell_hits(self) -> None:
        """Tell of them, and that they are what stands at their places now: the next change is compared with them."""
        standing = []
        for name, defined in self._defined.items():
            found = self._results.get(self._leader[name])
            if found is not None and not isinstance(defined.step.op, ops.ScratchOp):
                self._emit(StepCached(step=name, hit=DEFINITION))
                site = self._sites[name].text()
                standing.append(Entry(keys=(), op_digest=defined.op_digest, site=site, result=found))
        self._cache.stand(*standing)

    def _drive(self, crew: Crew[Performed], jobs: int) -> None:
        try:
            first = self._drive_until_done(crew, jobs)
        except BaseException:  # Ctrl-C among them: those that run are told before the crew waits for them
            self._stop.set()
            raise
        finally:
            self._performer.keep_recalled()
        if first is not None:
            raise first
        if self._stop.is_set() and not self._schedule_is_whole():
            raise Cancelled("cancelled")

    def _drive_until_done(self, crew: Crew[Performed], jobs: int) -> Fault | None:
        """Start what is ready, take what is answered; the failure to tell, if there was one."""
        worst: Fault | None = None
        while True:
            if self._stop.is_set():
                self._schedule.stop()
            while len(crew) < jobs and (name := self._schedule.take()) is not None:
                self._start(crew, name)
            if self._schedule.finished or not len(crew):
                return worst
            self._performer.keep_recalled()
            name, answer = crew.wait()
            if isinstance(answer, Performed):
                self._settle(name, answer)
                continue
            self._schedule.fail(name)
            self._stop.set()
            worst = self._worse(worst, _fault(self._defined[name].step, answer))

    def _start(self, crew: Crew[Performed], name: str) -> None:
        """Have the step's result: at once where it is known by content, else by a thread."""
        defined, below = self._keyed(name), self._keys_below(name)
        results = tuple(self._result_of(each) for each in defined.step.inputs)
        asked, twins = self._forced.get(name, ""), self._followers.get(name, ())
        known = None if asked else self._performer.recall(defined, results, twins)
        if known is not None:
            self._settle(name, known)
        else:
            crew.start(name, lambda: self._performer.perform(defined, results, below, asked=asked, twins=twins))

    def _keyed(self, name: str) -> Defined:
        """The step, all of whose inputs are done: with its key, unless it is open itself. When a file changed after it
        was read, what stands on the step that took it gets another key, too.
        """
        defined = self._defined[name]
        below = (self._leader.get(each) for each in defined.step.inputs)
        if defined.key is None or not self._other.isdisjoint(below):
            self._defined[name] = keyed(defined, self._keys_below(name))
            self._compare(name, defined.key)
        return self._defined[name]

    def _compare(self, name: str, before: Key | None) -> None:
        if before not in (None, self._defined[name].key):
            self._other.add(name)

    def _keys_below(self, name: str) -> tuple[Key | None, ...]:
        leaders = [self._leader.get(each) for each in self._defined[name].step.inputs]
        return tuple(None if each is None else self._defined[each].key for each in leaders)

    def _settle(self, name: str, performed: Performed) -> None:
        self._results[name] = performed.result
        self._performed[name] = performed
        before = self._defined[name]
        self._defined[name] = msgspec.structs.replace(before, key=performed.key)
        self._compare(name, before.key)
        self._schedule.done(name)
        for follower in self._followers.get(name, ()):
            self._emit(StepCached(step=follower, hit=DEFINITION))

    def _worse(self, first: Fault | None, later: Fault) -> Fault:
        """The failure to raise: the first one that is no mere consequence. The other is told at once."""
        if first is None:
            return later
        if isinstance(first.error, Cancelled) and not isinstance(later.error, Cancelled):
            first, later = later, first
        later.tell(self._emit)
        return first

    def _schedule_is_whole(self) -> bool:
        return all(name in self._results for name in self._wanted)

    def _result_of(self, name: str) -> Result | None:
        return self._results[self._leader[name]] if name in self._leader else None

    def _outcome(self) -> SolveOutcome:
        return SolveOutcome(
            results={name: self._results[each] for name, each in self._leader.items() if each in self._results},
            keys={name: self._key(each) for name, each in self._leader.items()},
            verdicts={name: self._verdict(name) for name in self._defined},
        )

    def _key(self, leader: str) -> Key:
        """The key of a step; of one that nothing needed, too. They are asked for in order."""
        defined = self._defined[leader]
        if defined.key is None:
            local = read_local(defined.step, defined.open, self._inputs)
            defined = keyed(msgspec.structs.replace(defined, local=local), self._keys_below(leader))
            self._defined[leader] = defined
        return defined.whole_key()

    def _verdict(self, name: str) -> Verdict:
        leader = self._leader[name]
        performed = self._performed.get(leader)
        if leader not in self._results:
            return Verdict(verdict="unneeded")
        if performed is None or name != leader:
            return Verdict(verdict="cached", hit=DEFINITION)
        return Verdict(
            verdict="cached" if performed.hit else "ran",
            hit=performed.hit,
            reason=performed.reason,
            duration_ms=performed.duration_ms,
        )


def _leaders(defined: Mapping[str, Defined]) -> dict[str, str]:
    first: dict[str, str] = {}
    return {name: first.setdefault(each.name, name) for name, each in defined.items()}


def _followers(leader: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The steps that each leader stands for, beside itself."""
    found: dict[str, tuple[str, ...]] = {}
    for name, first in leader.items():
        if name != first:
            found[first] = (*found.get(first, ()), name)
    return found


def _fault(step: Step, error: BaseException) -> Fault:
    return error if isinstance(error, Fault) else Fault(step, InternalError(f"{type(error).__name__}: {error}"))
