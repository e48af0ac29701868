"""What earlier builds left that is found by definition, as far as it belongs together: no image is of two runs of a
step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jettison.planning import ops
from jettison.solve.define import Defined
from jettison.solve.performed import EMPTY, is_source
from jettison.solve.ports import Result, ResultCache


class Known:
    """Looks results up, for all steps at once. Of equal steps only their leader is looked at."""

    def __init__(
        self,
        defined: Mapping[str, Defined],
        leader: Mapping[str, str],
        reads: Mapping[str, tuple[str, ...]],
        cache: ResultCache,
    ) -> None:
        """`defined` is by step, inputs first; `leader`, the leader of every step; `reads`, the leaders that each leader
        has for inputs.
        """
        self._defined = defined
        self._leader = leader
        self._reads = reads
        self._cache = cache
        self._results: dict[str, Result] = {}

    def results(
        self, lineages: Iterable[tuple[str, ...]], wanted: tuple[str, ...], forced: frozenset[str]
    ) -> dict[str, Result]:
        """By leader. `lineages` are those of the images (ids of steps); `wanted`, the leaders whose results are asked
        for; `forced`, those that run whatever is known.
        """
        self._look_up(forced)
        for lineage in lineages:
            self._hold_together(lineage)
        while stale := self._of_earlier_runs(wanted):
            for name in stale:
                del self._results[name]
        return self._results

    def _look_up(self, forced: frozenset[str]) -> None:
        """Not what is forced, nor what stands on something that is: it is to be compared by content, with what comes
        out.
        """
        tainted = set(forced)
        for name, defined in self._defined.items():
            if self._leader[name] != name:
                continue
            if any(self._leader.get(each) in tainted for each in defined.step.inputs):
                tainted.add(name)
            elif name not in tainted:
                self._find(name, defined)

    def _find(self, name: str, defined: Defined) -> None:
        if isinstance(defined.step.op, ops.ScratchOp):
            self._results[name] = EMPTY
            return
        found = None if defined.key is None else self._cache.find(defined.key.digest)
        if found is not None and self._is_of_these(found, defined):
            self._results[name] = found

    def _is_of_these(self, found: Result, defined: Defined) -> bool:
        """Whether it was made of what its inputs are now: one of them may have been made again since (--no-cache of
        its stage alone), and have yielded something else.
        """
        now = (self._results.get(self._leader.get(each, "")) for each in defined.step.inputs)
        return not found.inputs or all(result is None or result.id in found.inputs for result in now)

    def _hold_together(self, lineage: tuple[str, ...]) -> None:
        """An image is its lineage's layers, so each of its results must stand on the one before. One that does not
        (an earlier one was made again since, or forgotten) is looked up again, by content.
        """
        below: Result | None = None
        broken = False
        for name in (self._leader[each] for each in lineage):
            found = self._results.get(name)
            if found is not None and below is not None:
                broken = broken or found.layers != (*below.layers, *found.added)
            broken = broken or found is None
            if broken:
                self._results.pop(name, None)
            below = found

    def _of_earlier_runs(self, wanted: tuple[str, ...]) -> list[str]:
        """The results that stand on a step that has to run, since its own is gone: they are of an earlier run of it.
        They are looked up by content, with what comes out, so that no image has files of two runs of one stage.
        """
        running: set[str] = set()
        needed = [name for name in wanted if name not in self._results]
        while needed:
            name = needed.pop()
            if name not in running:
                running.add(name)
                needed += (each for each in self._reads[name] if each not in self._results)
        above = {name for name in running if not is_source(self._defined[name].step.op)}
        for name, inputs in self._reads.items():
            if not above.isdisjoint(inputs):
                above.add(name)
        return [name for name in self._results if name in above]
