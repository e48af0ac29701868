"""`build(request)`: the page that tells the whole story of a build, from text to outputs. The rest is below it."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from jettison.app.caches import Caches, check_caches
from jettison.app.contexts import Contexts, Local
from jettison.app.emit import Emitter, Listener
from jettison.app.findings import warnings_of
from jettison.app.finish import NOTHING, Finisher, Made, Solved, check_outputs
from jettison.app.images import Images
from jettison.app.inputs import Inputs
from jettison.app.late import LateExecutor
from jettison.app.materials import Materials
from jettison.app.options import check_entitlements, default_jobs, epoch_of, is_multiple, lower_options, platforms
from jettison.app.planned import planned
from jettison.app.records import Finished, build_record, new_build_id, write_record
from jettison.app.request import BuildRequest, BuildResult
from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.app.wellformed import check_bound, check_request
from jettison.base.errors import Cancelled, JettisonError, refused
from jettison.base.span import Source
from jettison.planning import ops
from jettison.planning.graph import Plan
from jettison.planning.merge import merge
from jettison.record.model import BuildFinished, BuildRecord, BuildStarted, Warned
from jettison.solve.ports import Cancel, Emit
from jettison.solve.run import SolveOutcome, solve

if TYPE_CHECKING:
    from jettison.app.bind import Binder
    from jettison.app.execute import Executor


def build(request: BuildRequest, *, on_event: Listener | None = None, cancel: Cancel | None = None) -> BuildResult:
    """Build what `request` asks for.

    `on_event` gets every event as it happens, one at a time, from any thread. When `cancel` is set (an object with
    `is_set()`, such as a threading.Event), running steps are ended and Cancelled is raised; the store is then one that
    the next build goes on from.

    Raises a JettisonError: UsageError, DockerfileError, StepError, InputError, NetworkError, HostError or Cancelled.
    """
    check_request(request)
    check_outputs(request)
    check_caches(request)
    check_bound()
    secrets = Secrets(request)
    secrets.check()
    emit = Emitter(on_event, secrets.masked())
    with secrets, Session.open(request.store, isolation=request.isolation, cancel=cancel or _Never()) as session:
        for note in session.store.notes:
            emit(Warned(message=note))
        result = _Build(request, session, emit, secrets).run()
    if emit.listener_error is not None:
        raise emit.listener_error
    return result


class _Never:
    """The Cancel of a caller that never cancels."""

    def is_set(self) -> bool:
        return False


class _Build:
    """One build: its parts made once, its story told by `run`."""

    def __init__(self, request: BuildRequest, session: Session, emit: Emitter, secrets: Secrets) -> None:
        self._request = request
        self._session = session
        self._emit = emit
        self._secrets = secrets
        self._id = new_build_id()
        self._started_s = time.time()
        self._images = Images(session, pull=request.pull)
        self._materials = Materials(session, emit)
        self._plans: tuple[Plan, ...] = ()
        self._warnings: tuple[Warned, ...] = ()
        self._outcome: SolveOutcome | None = None

    def run(self) -> BuildResult:
        try:
            return self._run()
        except JettisonError as error:
            self._fail(error)
            raise
        except BrokenPipeError:
            raise  # whoever read our standard output has gone
        except OSError as error:
            failure = refused(error.filename or "the store", error)
            self._fail(failure)
            raise failure from error

    def _fail(self, error: JettisonError) -> None:
        try:
            self._finish("cancelled" if isinstance(error, Cancelled) else "failed", error.message)
        except (JettisonError, OSError):
            return  # the disk that is full has no room for the record either: the first error is the one to tell

    def _run(self) -> BuildResult:
        from jettison.app.opening import opened_contexts

        with opened_contexts(self._request, self._session, self._secrets) as contexts:
            self._plans = self._planned(contexts)
            self._announce()
            finisher = Finisher(
                self._request, self._session, self._materials, self._images, self._emit, epoch=epoch_of(self._plans[0])
            )
            parts = (self._request, self._session, self._materials, self._images, self._emit)
            caches = Caches(*parts, scope=contexts.scope)

            def attempt(emit: Emit) -> Solved:
                solved = Solved(self._plans, self._solve(contexts, caches, emit))
                finisher.gather(solved)
                return solved

            solved = caches.recovery.run(attempt)
            self._outcome = solved.outcome
            finished = finisher.finish(solved)
            caches.write(solved)
        self._care()
        return BuildResult(images=finished.images, record=self._finish("done", finished=finished))

    def _care(self) -> None:
        """Keep the store below its bound; a build that had nothing to do left it as it was."""
        if self._session.tier():
            from jettison.app.bound import keep_below_bound

            keep_below_bound(self._session, self._emit)

    def _planned(self, contexts: Contexts) -> tuple[Plan, ...]:
        """A plan a platform; what they share is one step. The build checks are asked, too: they may refuse the file."""
        source, store = contexts.dockerfile, self._session.store
        wanted = platforms(self._request)
        several = is_multiple(self._request, wanted)
        stamps = self._secrets.stamps(store.salt)
        options = [lower_options(self._request, platform, several, stamps) for platform in wanted]
        begin = self._session.keeper  # a step of a new plan has no result, most likely
        plans = [planned(source, each, self._images.resolve, store.answers, begin) for each in options]
        for plan in plans:
            check_entitlements(self._request, plan)
        found = warnings_of(source, self._request, contexts.main.ignore, self._images, store)
        self._warnings = (*found, *(Warned(message=text) for text in plans[0].unconsumed))
        return merge(plans)

    def _announce(self) -> None:
        steps = {step.id: step.display for plan in self._plans for step in plan.steps}
        self._emit(BuildStarted(steps=tuple(steps.items())))
        stages = {step.stage.lower() for plan in self._plans for step in plan.steps}
        unknown = [name for name in self._request.no_cache_filter if name.lower() not in stages]
        for name in unknown:
            self._emit(Warned(message=f"--no-cache-filter {name}: no stage of that name is built"))
        for warning in self._warnings:
            self._emit(warning)

    def _solve(self, contexts: Contexts, caches: Caches, emit: Emit) -> SolveOutcome:
        directories = _directories(self._plans, contexts)

        @cache
        def binder() -> Binder:
            from jettison.app.bind import Binder

            return Binder(self._session, self._materials, self._secrets, directories, caches.restore_mount)

        ignores = _ignores(self._plans, contexts)
        inputs = Inputs(self._session, self._images, directories, ignores, secrets=self._secrets, binder=binder)
        try:
            return solve(
                *self._plans,
                cache=caches.results,
                inputs=inputs,
                executor=LateExecutor(self._session.keeper, lambda: self._executor(binder(), inputs)),
                emit=emit,
                cancel=self._session.cancel or _Never(),
                jobs=self._request.jobs or default_jobs(),
                no_cache=self._request.no_cache,
                no_cache_stages=self._request.no_cache_filter,
                scope=contexts.scope,
            )
        finally:
            inputs.save()

    def _executor(self, binder: Binder, inputs: Inputs) -> Executor:
        from jettison.app.execute import Executor
        from jettison.app.needs import needs_of
        from jettison.app.packing import foreseen

        needs = {} if self._request.cache_from else needs_of(self._plans)  # what a cache has may need no base
        epoch = epoch_of(self._plans[0])
        packings = foreseen(self._request, self._plans, epoch)
        return Executor(self._session, self._images, binder, epoch, needs, packings=packings, told=inputs)

    def _finish(self, outcome: str, error: str = "", finished: Made = NOTHING) -> BuildRecord:
        duration = self._emit.elapsed_ms()
        self._emit(BuildFinished(duration_ms=duration, error=error))
        end = Finished(
            id=self._id,
            started_s=self._started_s,
            duration_ms=duration,
            outcome=outcome,
            error=error,
            images=finished.images,
            index_digest=finished.index_digest,
            index_size_bytes=finished.index_size_bytes,
        )
        record = build_record(end, self._plans, self._outcome, self._emit.events, self._session)
        write_record(self._session.store, record)
        return record


def _directories(plans: tuple[Plan, ...], contexts: Contexts) -> dict[str, Local]:
    """The local contexts that plans read, by step id."""
    return {
        step: contexts.main if name == ops.CONTEXT else contexts.named[name] for step, name in _local(plans).items()
    }


def _ignores(plans: tuple[Plan, ...], contexts: Contexts) -> dict[str, Source]:
    """The ignore files of those local contexts that have one, by step id."""
    return {step: contexts.ignores[name] for step, name in _local(plans).items() if name in contexts.ignores}


def _local(plans: tuple[Plan, ...]) -> dict[str, str]:
    """The names of local contexts by step id."""
    return {step.id: step.op.name for plan in plans for step in plan.steps if isinstance(step.op, ops.LocalOp)}
