"""Definition keys of a whole plan: what every step is, before anything is built or any layer's byte is touched."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jettison.base.errors import Cancelled
from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.record.model import KeyPart
from jettison.solve.faults import Fault
from jettison.solve.key import definition_key, op_digest, op_parts
from jettison.solve.ports import Cancel, Inputs, Key

_REMOTE = (ops.HttpOp, ops.GitOp)


class LocalRead(msgspec.Struct, frozen=True):
    """What a step reads of a local context: its digest, and the parts that it is made of."""

    digest: str
    parts: tuple[KeyPart, ...] = ()


class Defined(msgspec.Struct, frozen=True, kw_only=True):
    """A step with all that is known of it beforehand. `local` has what it reads of local contexts, by input number."""

    step: Step
    producers: tuple[Step, ...]
    parts: tuple[KeyPart, ...]
    key: Key
    op_digest: str
    local: dict[int, LocalRead] = {}


def define(steps: tuple[Step, ...], inputs: Inputs, cancel: Cancel, jobs: int) -> dict[str, Defined]:
    """Every step but the local contexts, by id, in order. `steps` are in topological order.

    Servers are asked from up to `jobs` threads at once, everything else from this one. Raises Fault.
    """
    identities = _identities(steps, inputs, cancel, jobs)
    by_id = {step.id: step for step in steps}
    found: dict[str, Defined] = {}
    for step in steps:
        if cancel.is_set():
            raise Fault(step, Cancelled("cancelled"))
        if not isinstance(step.op, ops.LocalOp):
            found[step.id] = _define(step, by_id, found, inputs, identities)
    return found


def _define(
    step: Step, by_id: Mapping[str, Step], before: Mapping[str, Defined], inputs: Inputs, identities: Mapping[str, str]
) -> Defined:
    producers = tuple(by_id[name] for name in step.inputs)
    local = {
        index: _local(step, index, inputs)
        for index, producer in enumerate(producers)
        if isinstance(producer.op, ops.LocalOp)
    }
    parts = op_parts(step.op, identities.get(step.id, ""))
    values = [
        local[index].digest if index in local else before[name].key.digest for index, name in enumerate(step.inputs)
    ]
    return Defined(
        step=step,
        producers=producers,
        parts=parts,
        key=definition_key(parts, values),
        op_digest=op_digest(parts),
        local=local,
    )


def _local(step: Step, index: int, inputs: Inputs) -> LocalRead:
    try:
        return LocalRead(*inputs.local_digest(step, index))
    except Exception as error:
        raise Fault(step, error) from error


def _identities(steps: tuple[Step, ...], inputs: Inputs, cancel: Cancel, jobs: int) -> dict[str, str]:
    """The identities of sources that only a server knows, by step id."""
    waiting = [step for step in steps if isinstance(step.op, _REMOTE)]
    by_id = {step.id: step for step in waiting}
    found: dict[str, str] = {}
    if not waiting:
        return found
    from jettison.solve.crew import Crew

    with Crew[str]() as crew:
        while waiting or len(crew):
            while waiting and len(crew) < jobs and not cancel.is_set():
                step = waiting.pop(0)
                crew.start(step.id, lambda op=step.op: inputs.identity(op))  # type: ignore[misc]
            if not len(crew):
                raise Fault(waiting[0], Cancelled("cancelled"))
            name, answer = crew.wait()
            if isinstance(answer, BaseException):
                raise Fault(by_id[name], answer)
            found[name] = answer
    return found
