"""Build args that nothing takes: most often a name that is misspelt, on one side or the other. Reference §1.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jettison.planning.faults import meant
from jettison.planning.needs import LowerOptions
from jettison.planning.scope import PROXIES, platform_args
from jettison.syntax.nodes import Arg, Instruction, Onbuild

# What the builder itself takes, with an ARG or without.
_BUILDERS = frozenset({*PROXIES, *(name.lower() for name in PROXIES), "SOURCE_DATE_EPOCH"})
_BUILDERS_OWN = "BUILDKIT_"


def unconsumed(instructions: Iterable[Instruction], options: LowerOptions) -> tuple[str, ...]:
    """A warning for the build args that no ARG among `instructions` declares, as BuildKit words it; none, or one."""
    if not options.build_args:
        return ()
    declared = set(_declared(instructions))
    taken = declared | _BUILDERS | platform_args(options).keys()
    left = [name for name in options.build_args if name not in taken and not name.startswith(_BUILDERS_OWN)]
    if not left:
        return ()
    near = meant(left[0], declared) if len(left) == 1 else ""
    return (f"One or more build-args [{' '.join(sorted(left))}] were not consumed{near}",)


def _declared(instructions: Iterable[Instruction]) -> Iterator[str]:
    for instruction in instructions:
        match instruction:
            case Arg(names=names):
                yield from (name.name for name in names)
            case Onbuild(trigger=Arg(names=names)):
                yield from (name.name for name in names)
            case _:
                pass
