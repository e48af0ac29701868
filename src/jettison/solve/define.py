"""Definition keys of a whole plan: what every step is, before anything is built or any layer's byte is touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from jettison.base.errors import Cancelled, InternalError
from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.record.model import KeyPart
from jettison.solve.faults import Fault
from jettison.solve.key import definition_key, op_digest, op_parts
from jettison.solve.ports import Cancel, Inputs, Key, ResultCache

_REMOTE = (ops.HttpOp, ops.GitOp)


class LocalRead(msgspec.Struct, frozen=True):
    """What a step reads of a local context: its digest, and the parts that it is made of."""

    digest: str
    parts: tuple[KeyPart, ...] = ()


class Defined(msgspec.Struct, frozen=True, kw_only=True):
    """A step with all that is known of it beforehand.

    `local` has what it reads of local contexts, by input number. `open` are those of these inputs of which that is only
    known when the step has run: nothing can be known of the step (`solve.opened`), nor of those that stand on it. Their
    keys are None until then. `name` is equal for steps that are the same, whether or not they have keys.
    """

    step: Step
    producers: tuple[Step, ...]
    parts: tuple[KeyPart, ...]
    key: Key | None = None
    name: str
    op_digest: str
    local: dict[int, LocalRead] = {}
    open: frozenset[int] = frozenset()

    def whole_key(self) -> Key:
        """The key of a step that has one by now."""
        if self.key is None:
            raise InternalError(f"step {self.step.id} has no key yet")
        return self.key


def define(
    steps: tuple[Step, ...], inputs: Inputs, cache: ResultCache, cancel: Cancel, jobs: int
) -> dict[str, Defined]:
    """Every step but the local contexts, by id, in order. `steps` are in topological order.

    Servers are asked from up to `jobs` threads at once, everything else from this one. Raises Fault.
    """
    identities = _identities(steps, inputs, cancel, jobs)
    parts = {step.id: op_parts(step.op, identities.get(step.id, "")) for step in steps if not is_local(step)}
    digests = {name: op_digest(each) for name, each in parts.items()}
    by_id = {step.id: step for step in steps}
    opened = _opened(steps, by_id, digests, inputs, cache)
    found: dict[str, Defined] = {}
    for step in steps:
        if cancel.is_set():
            raise Fault(step, Cancelled("cancelled"))
        if not is_local(step):
            producers = tuple(by_id[name] for name in step.inputs)
            reads = [index for index, producer in enumerate(producers) if is_local(producer) and step.id not in opened]
            try:
                local = read_local(step, reads, inputs)
            except Exception as error:
                raise Fault(step, error) from error
            defined = Defined(
                step=step,
                producers=producers,
                parts=parts[step.id],
                name=step.id,
                op_digest=digests[step.id],
                local=local,
                open=opened.get(step.id, frozenset()),
            )
            found[step.id] = _named(defined, found)
    return found


def is_local(step: Step) -> bool:
    """Whether it is a local context, which has no key."""
    return isinstance(step.op, ops.LocalOp)


def keyed(defined: Defined, keys: Sequence[Key | None]) -> Defined:
    """The step with its key, once there is all that is in it; `keys` are those of its inputs."""
    values = [
        defined.local[index].digest if index in defined.local else key.digest if key is not None else ""
        for index, key in enumerate(keys)
    ]
    if not all(values):
        return defined
    return msgspec.structs.replace(defined, key=definition_key(defined.parts, values), open=frozenset())


def _named(defined: Defined, before: Mapping[str, Defined]) -> Defined:
    """The step with its key, where that is known, and its name."""
    inputs = defined.step.inputs
    done = keyed(defined, [before[name].key if name in before else None for name in inputs])
    if done.key is not None:
        return msgspec.structs.replace(done, name=done.key.digest)
    names = [before[name].name if name in before else _local_name(done, index) for index, name in enumerate(inputs)]
    return msgspec.structs.replace(done, name=definition_key(done.parts, names).digest)


def _local_name(defined: Defined, index: int) -> str:
    if index in defined.local:
        return defined.local[index].digest
    op = defined.producers[index].op
    return f"open {op.name if isinstance(op, ops.LocalOp) else index}"


def read_local(step: Step, indexes: Iterable[int], inputs: Inputs) -> dict[int, LocalRead]:
    """What the step reads of local contexts, by input number."""
    return {index: LocalRead(*inputs.local_digest(step, index)) for index in indexes}


def _opened(
    steps: tuple[Step, ...],
    by_id: Mapping[str, Step],
    digests: Mapping[str, str],
    inputs: Inputs,
    cache: ResultCache,
) -> Mapping[str, frozenset[int]]:
    """The local inputs, by step id, that are read by none but the step itself: what stands there is not known, and
    need not be. One question to the cache in a build that has nothing to do.
    """
    copies = {
        step.id: frozenset(index for index, name in enumerate(step.inputs) if is_local(by_id[name]))
        for step in steps
        if isinstance(step.op, ops.CopyOp)
    }
    copies = {name: local for name, local in copies.items() if local}
    if not copies:
        return {}
    known = cache.known_ops({digests[name] for name in copies})
    new = {name: local for name, local in copies.items() if digests[name] not in known}
    if not new:
        return {}
    from jettison.solve.opened import opened

    return opened(new, steps, digests, inputs, cache)


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
