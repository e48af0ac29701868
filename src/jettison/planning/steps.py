"""The steps of a plan as they are made: every source once, ids that are stable for one Dockerfile."""

from __future__ import annotations

import msgspec

from jettison.base.errors import Location
from jettison.planning.graph import Step
from jettison.planning.ops import AnyOp


class Steps:
    """Collects steps in topological order: what a step reads is added before it."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._sources: dict[tuple[AnyOp, tuple[str, ...]], str] = {}

    def source(
        self, name: str, op: AnyOp, display: str, location: Location | None = None, inputs: tuple[str, ...] = ()
    ) -> str:
        """The id of the one step that reads this source. `name` becomes its id, if it is still free."""
        known = self._sources.get((op, inputs))
        if known is not None:
            return known
        step_id = name
        number = 2
        while step_id in self._steps:
            step_id = f"{name}#{number}"
            number += 1
        self._sources[op, inputs] = step_id
        self._steps[step_id] = Step(id=step_id, op=op, inputs=inputs, display=display, location=location)
        return step_id

    def number(self, step_id: str, prefix: str) -> None:
        """Put `prefix` before what a source displays, unless an earlier stage has."""
        step = self._steps[step_id]
        if not step.display.startswith("["):
            self._steps[step_id] = msgspec.structs.replace(step, display=prefix + step.display)

    def add(self, step: Step) -> str:
        """One step of a stage. Returns its id."""
        self._steps[step.id] = step
        return step.id

    def needed(self, result: str) -> tuple[Step, ...]:
        """The steps that `result` reads, directly or not, and itself, in topological order."""
        wanted = {result}
        for step in reversed(self._steps.values()):
            if step.id in wanted:
                wanted.update(step.inputs)
        return tuple(step for step in self._steps.values() if step.id in wanted)
