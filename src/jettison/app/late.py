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

    def __init__(self, start: Callable[[], object], make: Callable[[], Executor]) -> None:
        """`start` starts the keeper."""
        self._start = start
        self._make = make

    def prepare(self) -> None:
        """Start the keeper, which takes longest, then make the executor beside it."""
        self._start()
        self._executor = self._make()

    def execute(self, step: Step, inputs: tuple[Result | None, ...], emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        """Run the step; the layers that it added. See `solve.ports.Executor.execute`."""
        return self._executor.execute(step, inputs, emit, cancel)

    def discard(self, layers: tuple[str, ...]) -> None:
        """Give up layers that will not be used."""
        self._executor.discard(layers)
