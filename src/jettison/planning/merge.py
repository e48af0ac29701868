"""Plans of several platforms side by side: ids that are unique across them, and one step for what they share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jettison.planning.graph import Plan, PlannedHistory, Step
from jettison.planning.ops import AnyOp

_MARK = " "  # between the platform and the id that a step has in a plan of its own


class _Same(msgspec.Struct, frozen=True):
    """What two plans' steps must agree on to be one: a stage for the build platform is built once for all."""

    name: str
    op: AnyOp
    inputs: tuple[str, ...]


def merge(plans: Sequence[Plan]) -> tuple[Plan, ...]:
    """The plans, each with the platform in front of its steps' ids; a step that an earlier plan has keeps that id.

    One plan stays as it is. The platforms must differ.
    """
    if len(plans) < 2:
        return tuple(plans)
    known: dict[_Same, Step] = {}
    return tuple(_renamed(plan, known) for plan in plans)


def own_name(step_id: str, platform: str) -> str:
    """The id that a step of a merged plan has in a plan of one platform."""
    return step_id.removeprefix(platform + _MARK)


def _renamed(plan: Plan, known: dict[_Same, Step]) -> Plan:
    names: dict[str, str] = {}
    steps: list[Step] = []
    for step in plan.steps:
        inputs = tuple(names[name] for name in step.inputs)
        renamed = msgspec.structs.replace(step, id=plan.platform + _MARK + step.id, inputs=inputs)
        shared = known.setdefault(_Same(step.id, step.op, inputs), renamed)
        names[step.id] = shared.id
        steps.append(shared)
    history = tuple(
        PlannedHistory(planned.entry, None if planned.step is None else names[planned.step]) for planned in plan.history
    )
    return msgspec.structs.replace(
        plan,
        steps=tuple(steps),
        result=names[plan.result],
        lineage=tuple(names[name] for name in plan.lineage),
        history=history,
    )
