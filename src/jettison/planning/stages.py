"""The stages that a Dockerfile declares: their bases and names, which name means which stage, and the target.

Nothing here needs an image. Reference §1.5 and §1.10.
"""

from __future__ import annotations

import msgspec

from jettison.base.errors import InputError, UsageError
from jettison.oci.platform import format_platform
from jettison.planning.contexts import context_for
from jettison.planning.faults import FaultError, Faults, Words, meant
from jettison.planning.needs import LowerOptions, Warn
from jettison.planning.scope import names_in, read_platform
from jettison.syntax.nodes import Arg, Dockerfile, From, Instruction, Word
from jettison.syntax.regex import lazy
from jettison.syntax.suggest import closest

SCRATCH = "scratch"

_INDEX = lazy(r"[+-]?[0-9]{1,9}")


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as written, its FROM expanded.

    `name` is in lower case, "" when it has none; `shown` is `stage-N` then. `label` is what steps carry: `shown`, made
    different where two stages have one name.
    `parent` is the index of the stage that it builds on, None for an image, a context or scratch. `override` is the
    spec of a named context that stands in the stage's place: then nothing of the stage itself is built.
    """

    index: int
    node: From
    name: str
    shown: str
    label: str
    base: str
    platform: str | None
    parent: int | None
    override: str | None
    instructions: tuple[Instruction, ...]


class Stages:
    """All declared stages, and who is who among them."""

    def __init__(self, declared: tuple[Declared, ...]) -> None:
        self.all = declared
        # Of two stages of one name the later is meant, wherever the reference stands.
        self._by_name = {stage.name: stage.index for stage in declared if stage.name}

    def named(self, name: str) -> int | None:
        """The index of the stage of that name, in any case; None when there is none."""
        return self._by_name.get(name.lower())

    def names(self) -> list[str]:
        """The names that were given, in order, and `stage-N` for those without."""
        return [stage.shown for stage in self.all]

    def numbered(self, text: str) -> int | None:
        """The index that `text` is a number for, None when it is no number. Raises InputError when out of range."""
        if not _INDEX.fullmatch(text):
            return None
        index = int(text)
        if not 0 <= index < len(self.all):
            hint = f"stages are counted from 0, and there are {len(self.all)}"
            raise InputError(f"invalid stage index {index}", hint=hint)
        return index


def split(dockerfile: Dockerfile) -> tuple[tuple[Arg, ...], list[tuple[From, tuple[Instruction, ...]]]]:
    """The global ARGs, and each FROM with the instructions that follow it."""
    args: list[Arg] = []
    stages: list[tuple[From, list[Instruction]]] = []
    for instruction in dockerfile.instructions:
        if isinstance(instruction, From):
            stages.append((instruction, []))
        elif stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            args.append(instruction)
    return tuple(args), [(node, tuple(body)) for node, body in stages]


def label_of(name: str, index: int, taken: set[str]) -> str:
    """What the steps of a stage carry; `taken` are the labels of the stages before it, and gets this one."""
    label = name or f"stage-{index}"
    if label in taken:
        label = f"{label}#{index}"
    taken.add(label)
    return label


class Declaring:
    """Reads the FROM lines one after the other: a stage can only build on one that stands before it."""

    def __init__(
        self,
        values: dict[str, str],
        options: LowerOptions,
        *,
        declared: frozenset[str],
        escape: str,
        faults: Faults,
        warn: Warn | None,
    ) -> None:
        self._values = values
        self._declared = declared
        self._options = options
        self._escape = escape
        self._faults = faults
        self._warn = warn
        self._by_name: dict[str, int] = {}
        self._labels: set[str] = set()
        self._found: list[Declared] = []

    def add(self, node: From, instructions: tuple[Instruction, ...]) -> None:
        """One stage. Its faults are kept; a stage with a fault still counts, so that the others keep their places."""
        index = len(self._found)
        name = node.name.text.lower() if node.name else ""
        base, platform = SCRATCH, None
        try:
            platform = self._platform(node)
            base = self._base(node)
        except FaultError as fault:
            self._faults.add(fault)
        override = context_for(name, platform or self._options.platform, self._options) if name else None
        declared = Declared(
            index=index,
            node=node,
            name=name,
            shown=name or f"stage-{index}",
            label=label_of(name, index, self._labels),
            base=base,
            platform=platform,
            parent=None if override is not None else self._by_name.get(base.lower()),
            override=override,
            instructions=instructions,
        )
        self._found.append(declared)
        if name:
            self._by_name[name] = index

    def done(self) -> Stages:
        """All stages that were added."""
        return Stages(tuple(self._found))

    def _words(self, node: From) -> Words:
        return Words(self._values.get, self._escape, node.span, self._unset if self._warn else None)

    def _unset(self, name: str, span: object) -> None:
        if self._warn is not None and name not in self._declared:
            near = meant(name, {*self._values, *self._declared})
            self._warn("UndefinedArgInFrom", f"FROM argument '{name}' is not declared{near}", span)  # type: ignore[arg-type]

    def _near(self, word: Word) -> str | None:
        """Which argument may be meant by one in the word that is not declared."""
        known = {*self._values, *self._declared}
        asked = sorted(names_in(word.text, self._escape) - known)
        return next((f"did you mean ${near}?" for name in asked if (near := closest(name, sorted(known)))), None)

    def _base(self, node: From) -> str:
        base = self._words(node).word(node.base)
        if not base:
            hint = self._near(node.base) or "an ARG before the first FROM, or --build-arg, gives it a value"
            raise FaultError(f"base name ({node.base.text}) should not be blank", node.base.span, hint)
        return base

    def _platform(self, node: From) -> str | None:
        if node.platform is None or not node.platform.text:
            return None
        text = self._words(node).word(node.platform)
        if not text:
            message = f"empty platform value from expression {node.platform.text}"
            hint = self._near(node.platform) or "an ARG before the first FROM gives it a value"
            raise FaultError(message, node.platform.span, hint)
        try:
            return format_platform(read_platform(text, self._options.build_platform))
        except InputError as error:
            message = f"failed to parse platform {node.platform.text}: {error.message}"
            raise FaultError(message, node.platform.span, error.hint) from None


def target_of(stages: Stages, options: LowerOptions) -> Declared | None:
    """The stage that is built: the last one, or the one that --target names; None when there is none of that name."""
    if options.target is None or not options.target:
        return stages.all[-1]
    index = stages.named(options.target)
    return None if index is None else stages.all[index]


def unknown_target(stages: Stages, target: str) -> UsageError:
    """There is no stage of that name: who asked is wrong, and no line of the file."""
    named = [stage.name for stage in stages.all if stage.name]
    hint = f"the stages are: {', '.join(named)}" if named else "no stage has a name: write FROM ... AS NAME"
    return UsageError(f'target stage "{target}" could not be found{meant(target, named)}', hint=hint)
