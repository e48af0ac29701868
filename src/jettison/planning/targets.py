"""What a Dockerfile offers, for `--call=targets` and `--call=outline`. Reference §2.1."""

from __future__ import annotations

import msgspec

from jettison.planning.graph import Plan
from jettison.planning.ops import CacheMount, RunOp, SecretMount, SshMount
from jettison.planning.scope import names_in
from jettison.planning.stages import label_of, split
from jettison.syntax.nodes import Arg, ArgName, Dockerfile, From
from jettison.syntax.pairs import described


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stage as written: base and platform are not expanded. `description` is a comment `# NAME text` above."""

    name: str = ""
    default: bool = False
    description: str = ""
    base: str
    platform: str = ""
    line: int


class OutlineArg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A build argument: `default` as written, None without one."""

    name: str
    default: str | None = None
    description: str = ""
    line: int


class OutlineUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret, an SSH agent or a cache that a step mounts."""

    id: str
    required: bool = False


class Outline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one target takes from outside."""

    name: str = ""
    description: str = ""
    args: tuple[OutlineArg, ...] = ()
    secrets: tuple[OutlineUse, ...] = ()
    ssh: tuple[OutlineUse, ...] = ()
    caches: tuple[OutlineUse, ...] = ()


def list_targets(dockerfile: Dockerfile) -> tuple[Target, ...]:
    """All stages, in order of the file; the last one is the default."""
    _, stages = split(dockerfile)
    return tuple(_target(node, last=index == len(stages) - 1) for index, (node, _) in enumerate(stages))


def _target(node: From, *, last: bool) -> Target:
    name = _name(node)
    return Target(
        name=name,
        default=last,
        description=described(node.comments, name) or "",
        base=node.base.text,
        platform=node.platform.text if node.platform else "",
        line=node.span.start_line,
    )


def _name(node: From) -> str:
    return node.name.text.lower() if node.name else ""


def outline(dockerfile: Dockerfile, plan: Plan) -> Outline:
    """What the plan's target takes: the args of all stages that it reaches, and what their steps mount.

    Of the global ones, those that a FROM or an ARG of these stages takes, or a default of one of those.
    """
    globals_, stages = split(dockerfile)
    taken: set[str] = set()
    names = [label_of(_name(node), index, taken) for index, (node, _) in enumerate(stages)]
    reached = [stage for label, stage in zip(names, stages, strict=True) if label in plan.stages]
    own = [name for _, body in reached for one in body if isinstance(one, Arg) for name in one.names]
    wanted = {name.name for name in own}.union(*(_asked(node, dockerfile.escape) for node, _ in reached))
    node = next(node for label, (node, _) in zip(names, stages, strict=True) if label == plan.target)
    mounts = [mount for step in plan.steps if isinstance(step.op, RunOp) for mount in step.op.mounts]
    return Outline(
        name=_name(node),
        description=described(node.comments, _name(node)) or "",
        args=_args([*_used(globals_, wanted, dockerfile.escape), *own]),
        secrets=_uses([OutlineUse(id=m.id, required=m.required) for m in mounts if isinstance(m, SecretMount)]),
        ssh=_uses([OutlineUse(id=m.id, required=m.required) for m in mounts if isinstance(m, SshMount)]),
        caches=_uses([OutlineUse(id=m.id) for m in mounts if isinstance(m, CacheMount)]),
    )


def _asked(node: From, escape: str) -> set[str]:
    """The names that a FROM asks for."""
    words = (node.base, node.platform)
    return set().union(*(names_in(word.text, escape) for word in words if word is not None))


def _used(globals_: tuple[Arg, ...], wanted: set[str], escape: str) -> list[ArgName]:
    """The global arguments that are wanted, and those that their defaults ask for."""
    used: list[ArgName] = []
    for name in reversed([name for arg in globals_ for name in arg.names]):
        if name.name in wanted:
            used.insert(0, name)
            wanted = wanted | (names_in(name.default.text, escape) if name.default is not None else set())
    return used


def _args(names: list[ArgName]) -> tuple[OutlineArg, ...]:
    """Each argument once, where it has a default if anywhere."""
    found: dict[str, OutlineArg] = {}
    for name in names:
        known = found.get(name.name)
        if known is None or (known.default is None and name.default is not None):
            found[name.name] = _arg(name)
    return tuple(found.values())


def _arg(name: ArgName) -> OutlineArg:
    return OutlineArg(
        name=name.name,
        default=name.default.text if name.default is not None else None,
        description=name.description or "",
        line=name.span.start_line,
    )


def _uses(uses: list[OutlineUse]) -> tuple[OutlineUse, ...]:
    """Each id once, required when any use requires it."""
    found: dict[str, OutlineUse] = {}
    for use in uses:
        if use.id not in found or use.required:
            found[use.id] = use
    return tuple(found.values())
