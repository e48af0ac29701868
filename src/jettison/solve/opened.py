"""Which copies are left open: they run before anybody has read their files, and get their keys from what they took.

A key is made beforehand to be looked up. Where nothing can be found under it, reading a context for it is for nothing:
the copy reads it again.
"""

from __future__ import annotations

from collections.abc import Mapping

from jettison.planning.graph import Step
from jettison.solve.faults import Fault
from jettison.solve.ports import Inputs, ResultCache


def opened(
    copies: Mapping[str, frozenset[int]],
    steps: tuple[Step, ...],
    digests: Mapping[str, str],
    inputs: Inputs,
    cache: ResultCache,
) -> dict[str, frozenset[int]]:
    """Those of `copies` (local inputs by step id; of none a result was saved) that nothing known stands on, and that
    can tell what they took. `digests` are all steps' op digests. Raises Fault for a path that is not there.
    """
    above = _above(copies, steps)
    known = cache.known_ops({digests[name] for names in above.values() for name in names})
    by_id = {step.id: step for step in steps}
    return {
        name: local
        for name, local in copies.items()
        if known.isdisjoint(digests[each] for each in above[name]) and _is_told(by_id[name], local, inputs)
    }


def _above(copies: Mapping[str, frozenset[int]], steps: tuple[Step, ...]) -> dict[str, set[str]]:
    """What stands on each of the copies, near or far."""
    found: dict[str, set[str]] = {name: set() for name in copies}
    for step in steps:
        for name, above in found.items():
            if any(each == name or each in above for each in step.inputs):
                above.add(step.id)
    return found


def _is_told(step: Step, local: frozenset[int], inputs: Inputs) -> bool:
    """Whether the step's one local input can be told of."""
    try:
        told = [inputs.is_told(step, index) for index in local]
    except Exception as error:
        raise Fault(step, error) from error
    return len(told) == 1 and told[0]
