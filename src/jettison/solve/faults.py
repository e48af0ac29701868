"""What went wrong with a step, kept together with the step until it is told."""

from __future__ import annotations

from jettison.base.errors import Cancelled, HostError, JettisonError, full_store
from jettison.planning.graph import Step
from jettison.record.model import StepFailed, StepStarted
from jettison.solve.ports import Emit


class Fault(Exception):  # noqa: N818 - never leaves the solver
    """`step` failed with `error`. `started`: its StepStarted was emitted."""

    def __init__(self, step: Step, error: BaseException, *, started: bool = False) -> None:
        super().__init__(step.id)
        self.step = step
        self.error = placed(error, step)
        self.started = started

    def tell(self, emit: Emit) -> None:
        """Emit what became of the step. One that was called off before it began is not mentioned."""
        cancelled = isinstance(self.error, Cancelled)
        if cancelled and not self.started:
            return
        if not self.started:
            emit(StepStarted(step=self.step.id))
        message = self.error.message if isinstance(self.error, JettisonError) else repr(self.error)
        emit(StepFailed(step=self.step.id, message="cancelled" if cancelled else message))


def placed(error: BaseException, step: Step) -> BaseException:
    """`error` with the step's place. What the system refused is the host's fault; other strangers stay as they are."""
    if isinstance(error, JettisonError):
        return error if isinstance(error, Cancelled) else error.at(step.location)
    if isinstance(error, OSError):
        told = full_store(error) or HostError(f"{step.display or step.id}: {error}")
        told.at(step.location).__cause__ = error
        return told
    return error
