"""Which stages the target reaches, and what they begin with. A base's ONBUILD may reach further.

Reference §1.5 and §1.9.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from jettison.planning.bases import Base, stage_base, tree_base
from jettison.planning.faults import FaultError, Faults
from jettison.planning.needs import NeedImage, ResolvedImage
from jettison.planning.refs import Ref, circles, is_implicit, out_of_order, reached, refs_of
from jettison.planning.stage import Work
from jettison.planning.stages import Declared
from jettison.planning.triggers import Trigger, triggers_of_image, triggers_of_stage
from jettison.syntax.nodes import Instruction

Asking = Generator[NeedImage, ResolvedImage, None]


class Reaching:
    """Settles, stage by stage, what is needed; then answers for each reached stage."""

    def __init__(self, work: Work, target: Declared, faults: Faults) -> None:
        self._work = work
        self._target = target
        self._faults = faults
        self._bases: dict[int, Base] = {}
        self._triggers: dict[int, tuple[Trigger, ...]] = {}
        self._refs = {stage.index: self._read(stage, stage.instructions) for stage in work.stages.all}
        self._check()
        self.alone = len(work.stages.all) == 1 and not self._brings_trees(work.stages.all[0].instructions)

    def stages(self) -> list[int]:
        """The reached stages, in order of the file."""
        return reached(self._work.stages, self._target.index, self._refs)

    def base(self, index: int) -> Base:
        """What a stage begins with that builds on no other stage."""
        return self._bases[index]

    def triggers(self, index: int) -> tuple[Trigger, ...]:
        """What runs right after the stage's FROM."""
        return self._triggers.get(index, ())

    def instructions(self, index: int) -> list[Instruction]:
        """All that runs in the stage, triggers first."""
        return [
            *(trigger.instruction for trigger in self.triggers(index)),
            *self._work.stages.all[index].instructions,
        ]

    def every_instruction(self) -> Iterator[Instruction]:
        """All of the file, reached or not, and what the bases of reached stages bring."""
        yield from self._work.dockerfile.instructions
        for triggers in self._triggers.values():
            yield from (trigger.instruction for trigger in triggers)

    def settle(self) -> Asking:
        """Ask for the images of all stages that are reached, until their triggers reach no further one."""
        settled: set[int] = set()
        while new := [index for index in self.stages() if index not in settled]:
            for index in new:
                settled.add(index)
                try:
                    yield from self._settle_stage(self._work.stages.all[index])
                except FaultError as fault:
                    self._faults.add(fault)
            self._faults.settle()

    def _settle_stage(self, stage: Declared) -> Asking:
        if stage.parent is None:
            base = self._bases[stage.index] = yield from stage_base(self._work, stage)
            found = triggers_of_image(base.config.config.on_build, stage.node.span) if stage.override is None else ()
        else:
            found = self._inherited(self._work.stages.all[stage.parent])
        self._triggers[stage.index] = found
        foreign = any(trigger.foreign for trigger in found)
        refs = self._read(stage, tuple(trigger.instruction for trigger in found), foreign=foreign)
        self._note_order(stage, refs)
        self._refs[stage.index] += refs
        if stage.override is None:
            yield from self._settle_trees(self._refs[stage.index])

    def _inherited(self, parent: Declared) -> tuple[Trigger, ...]:
        """A stage's own triggers; an image's, where a context stands in the stage's place."""
        if parent.override is None:
            return triggers_of_stage(parent)
        base = self._bases[parent.index]
        return triggers_of_image(base.config.config.on_build, parent.node.span)

    def _settle_trees(self, refs: tuple[Ref, ...]) -> Asking:
        for ref in refs:
            if ref.stage is not None or ref.text in self._work.trees:
                continue
            try:
                base = yield from tree_base(self._work, ref)
                self._work.trees[ref.text] = base.tree
            except FaultError as fault:
                self._faults.add(fault)

    def _read(
        self, stage: Declared, instructions: tuple[Instruction, ...], *, foreign: bool = False
    ) -> tuple[Ref, ...]:
        found: list[Ref] = []
        for instruction in instructions:
            try:
                refs = refs_of(instruction, self._work.stages)
            except FaultError as fault:
                self._faults.add(fault, stage.node.span if foreign else None)
                continue
            found.extend(Ref(r.text, stage.node.span, r.stage, r.target) if foreign else r for r in refs)
        return tuple(found)

    def _check(self) -> None:
        """Circles anywhere in the file, and references to later stages from what is reached."""
        circular = circles(self._work.stages, self._refs)
        for fault in circular:
            self._faults.add(fault)
        if not circular:
            for index in self.stages():
                self._note_order(self._work.stages.all[index], self._refs[index])

    def _note_order(self, stage: Declared, refs: tuple[Ref, ...]) -> None:
        if stage.override is not None:
            return
        for ref in refs:
            fault = out_of_order(ref, stage)
            if fault is not None:
                self._faults.add(fault)

    def _brings_trees(self, instructions: tuple[Instruction, ...]) -> bool:
        refs = [ref for ref in self._refs[0] if ref.stage is None]
        return bool(refs) or any(is_implicit(instruction, None) for instruction in instructions)
