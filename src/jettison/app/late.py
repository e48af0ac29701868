"""The Executor of a build that may have nothing to do: made, and its modules read, when there is a step to be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jettison.planning.graph import Step
from jettison.solve.ports import Cancel, Emit, Result

if TYPE_CHECKING:
    from jettison.app.execute import Executor


class LateExecutor:
    """The solver's port of that name (`solve.ports.Executor`), around one that `prepare` makes."""

    _executor: Executor

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make

    def prepare(self) -> None:
        """Make it, then start the keeper: its copy of this process has the modules, too."""
        self._executor = self._make()
        self._executor.prepare()

    def execute(self, step: Step, inputs: tuple[Result | None, ...], emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        """Run the step; the layers that it added. See `solve.ports.Executor.execute`."""
        return self._executor.execute(step, inputs, emit, cancel)

    def discard(self, layers: tuple[str, ...]) -> None:
        """Give up layers that will not be used."""
        self._executor.discard(layers)
