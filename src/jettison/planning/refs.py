"""What an instruction names by `--from` or `from=`: a stage, a context or an image. Reference §1.5.

Names are found without knowing any variable: nothing here is expanded.
"""

from __future__ import annotations

import msgspec

from jettison.base.errors import InputError
from jettison.base.span import Span
from jettison.planning.faults import FaultError
from jettison.planning.stages import SCRATCH, Declared, Stages
from jettison.syntax.nodes import Copy, Instruction, MountOption, Run, Word
from jettison.syntax.words import ExpansionError, expand

NO_VARIABLES = (
    "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope"
    " as a workaround"
)


class Ref(msgspec.Struct, frozen=True):
    """A name that an instruction reads from. `stage` None: a context or an image; `target` is a mount's."""

    text: str
    span: Span
    stage: int | None
    target: str | None = None


def refs_of(instruction: Instruction, stages: Stages) -> tuple[Ref, ...]:
    """All names that the instruction reads from, in order. Raises FaultError."""
    match instruction:
        case Copy(from_=Word() as word):
            ref = copy_ref(word, stages)
            return () if ref is None else (ref,)
        case Run(mounts=mounts):
            found = [mount_ref(mount, stages) for mount in mounts]
            return tuple(ref for ref in found if ref is not None)
        case _:
            return ()


def copy_ref(word: Word, stages: Stages) -> Ref | None:
    """The name or number of a `COPY --from`, None for an empty one (the build context)."""
    if _plain(word.text) != word.text:
        raise FaultError(NO_VARIABLES, word.span, "FROM $NAME AS alias, with NAME a global ARG; then --from=alias")
    if not word.text:
        return None
    try:
        index = stages.numbered(word.text)
    except InputError as error:
        raise FaultError(error.message, word.span, error.hint) from None
    return Ref(word.text, word.span, stages.named(word.text) if index is None else index)


def mount_ref(mount: MountOption, stages: Stages) -> Ref | None:
    """The `from=` of a mount, which is a name and never a number; None without one, and for a tmpfs."""
    fields = dict(mount.fields)
    text = _plain(fields.get("from") or "")
    if not text or (fields.get("type") or "").lower() == "tmpfs":
        return None
    target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
    return Ref(text, mount.span, stages.named(text), target)


def _plain(text: str) -> str:
    """`text` with its quotes removed and every variable unset; "" where that makes no sense."""
    try:
        return expand(text, lambda _name: None)
    except ExpansionError:
        return ""


def is_implicit(instruction: Instruction, ref: Ref | None) -> bool:
    """Whether the instruction brings in a tree that no stage declares: another image, or a cache's empty one."""
    if ref is not None:
        return ref.stage is None
    return isinstance(instruction, Run) and any(
        dict(mount.fields).get("type") == "cache" for mount in instruction.mounts
    )


def out_of_order(ref: Ref, stage: Declared) -> FaultError | None:
    """The fault of reading from a stage that does not stand before this one, or None."""
    if ref.stage is None or ref.stage < stage.index:
        return None
    hint = "a stage can only be read by the stages below it: move it up"
    if ref.target is not None:
        message = f'cannot mount from stage "{ref.text}" to "{ref.target}", '
        return FaultError(message + "stage needs to be defined before current command", ref.span, hint)
    message = f'cannot copy from stage "{ref.text}", it needs to be defined before current stage "{stage.shown}"'
    return FaultError(message, ref.span, hint)


def circles(stages: Stages, refs: dict[int, tuple[Ref, ...]]) -> list[FaultError]:
    """Stages that need themselves: one fault for each reference that closes a circle."""
    found: list[FaultError] = []
    state: dict[int, bool] = {}  # False while being visited, True when done
    for first in stages.all:
        if first.index in state:
            continue
        state[first.index] = False
        path = [(first, iter(_needs(first, refs)))]
        while path:
            stage, rest = path[-1]
            ref = next(rest, None)
            if ref is None:
                state[stage.index] = True
                path.pop()
            elif ref.stage is not None and state.get(ref.stage) is False:
                message = f"circular dependency detected on stage: {stages.all[ref.stage].shown}"
                found.append(FaultError(message, ref.span, "a stage cannot copy or mount what needs the stage itself"))
            elif ref.stage is not None and ref.stage not in state:
                state[ref.stage] = False
                following = stages.all[ref.stage]
                path.append((following, iter(_needs(following, refs))))
    return found


def _needs(stage: Declared, refs: dict[int, tuple[Ref, ...]]) -> tuple[Ref, ...]:
    parent = () if stage.parent is None else (Ref(stage.base, stage.node.span, stage.parent),)
    return () if stage.override is not None else (*parent, *refs[stage.index])


def reached(stages: Stages, target: int, refs: dict[int, tuple[Ref, ...]]) -> list[int]:
    """The stages that the target needs, itself among them, in order of the file."""
    found: set[int] = set()
    rest = [target]
    while rest:
        index = rest.pop()
        if index not in found:
            found.add(index)
            rest.extend(ref.stage for ref in _needs(stages.all[index], refs) if ref.stage is not None)
    return sorted(found)


def is_scratch(ref: Ref) -> bool:
    """Whether a name means the empty tree."""
    return ref.stage is None and ref.text == SCRATCH
