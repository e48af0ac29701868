"""A parsed Dockerfile and options in, a plan out. Pure: images are asked for by yielding, and their configs sent.

In order: the stages are declared and the target found; the stages that it reaches are settled, asking for their
images, whose ONBUILD may reach further ones; then each is lowered, in order of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from jettison.base.span import Span
from jettison.oci.documents import ImageConfig, Platform
from jettison.oci.platform import format_platform, normalize
from jettison.planning import metadata
from jettison.planning.bases import Base, materialised
from jettison.planning.consumed import unconsumed
from jettison.planning.copy import lower_add, lower_copy
from jettison.planning.faults import FaultError, Faults
from jettison.planning.graph import Plan
from jettison.planning.needs import LowerOptions, NeedImage, ResolvedImage, Warn
from jettison.planning.reach import Reaching
from jettison.planning.run import lower_run
from jettison.planning.scope import global_scope, proxy_environment, read_platform, source_date_epoch
from jettison.planning.stage import Stage, Work, environ_of, with_path
from jettison.planning.stages import Declared, Declaring, split, target_of, unknown_target
from jettison.planning.steps import Steps
from jettison.planning.triggers import Trigger
from jettison.syntax import nodes
from jettison.syntax.cleanpath import clean

Lowering = Generator[NeedImage, ResolvedImage, Plan]

NUMBERED = (nodes.Add, nodes.Copy, nodes.Run, nodes.Workdir)

_INSTRUCTIONS: dict[type[nodes.Instruction], Callable[[Work, Stage, Any], Stage]] = {
    nodes.Add: lower_add,
    nodes.Arg: metadata.lower_arg,
    nodes.Cmd: metadata.lower_cmd,
    nodes.Copy: lower_copy,
    nodes.Entrypoint: metadata.lower_entrypoint,
    nodes.Env: metadata.lower_env,
    nodes.Expose: metadata.lower_expose,
    nodes.Healthcheck: metadata.lower_healthcheck,
    nodes.Label: metadata.lower_label,
    nodes.Maintainer: metadata.lower_maintainer,
    nodes.Onbuild: metadata.lower_onbuild,
    nodes.Run: lower_run,
    nodes.Shell: metadata.lower_shell,
    nodes.Stopsignal: metadata.lower_stopsignal,
    nodes.User: metadata.lower_user,
    nodes.Volume: metadata.lower_volume,
    nodes.Workdir: metadata.lower_workdir,
}


def lower(dockerfile: nodes.Dockerfile, options: LowerOptions, warn: Warn | None = None) -> Lowering:
    """Yields a NeedImage for every image that the target reaches, is sent its ResolvedImage, returns the Plan.

    `warn` hears of what lint calls rules, for the stages that are reached. Raises DockerfileError with all that was
    found wrong: with the stages before any image is asked for, with the instructions after that; and UsageError for a
    target that is no stage.
    """
    options = _normalised(options)
    faults = Faults(dockerfile.source)
    work, target = _begun(dockerfile, options, faults, warn)
    reaching = Reaching(work, target, faults)
    faults.settle()
    yield from reaching.settle()
    faults.settle()
    for index in reaching.stages():
        declared = work.stages.all[index]
        work.done[index] = _lowered(work, declared, reaching, faults)
    faults.settle()
    return _planned(work, target, reaching)


def drive(generator: Lowering, resolver: Callable[[NeedImage], ResolvedImage]) -> Plan:
    """Run a lowering to its end with `resolver` answering; an image is asked for once a platform."""
    known: dict[tuple[str, str], ResolvedImage] = {}
    try:
        need = next(generator)
        while True:
            key = (need.ref, need.platform)
            if key not in known:
                known[key] = resolver(need)
            need = generator.send(known[key])
    except StopIteration as stop:
        plan: Plan = stop.value
        return plan
    finally:
        generator.close()


def _normalised(options: LowerOptions) -> LowerOptions:
    """The options with both platforms spelled in the one way. Raises InputError."""
    build = format_platform(read_platform(options.build_platform, options.build_platform))
    platform = format_platform(read_platform(options.platform, build))
    return msgspec.structs.replace(options, build_platform=build, platform=platform)


def _begun(
    dockerfile: nodes.Dockerfile, options: LowerOptions, faults: Faults, warn: Warn | None
) -> tuple[Work, Declared]:
    """The stages declared and the target found. Raises DockerfileError when there are none, UsageError when the target
    is none of them.
    """
    args, bodies = split(dockerfile)
    values = global_scope(args, options, dockerfile.escape, faults)
    names = frozenset(name.name for arg in args for name in arg.names)
    declaring = Declaring(values, options, declared=names, escape=dockerfile.escape, faults=faults, warn=warn)
    for node, body in bodies:
        declaring.add(node, body)
    stages = declaring.done()
    if not stages.all:
        hint = "begin with FROM image, or FROM scratch"
        faults.add(FaultError("dockerfile contains no stages to build", Span(1, 0, 1, 0), hint))
        faults.settle()
    target = target_of(stages, options)
    if target is None:
        faults.settle()
        raise unknown_target(stages, options.target or "")
    work = Work(
        dockerfile=dockerfile,
        options=options,
        values=values,
        stages=stages,
        steps=Steps(),
        proxies=proxy_environment(options),
        trees={},
        done={},
        warnings=[],
        warn=warn,
    )
    return work, target


def _lowered(work: Work, declared: Declared, reaching: Reaching, faults: Faults) -> Stage:
    """One stage: its base, the triggers that this brings, its own instructions. Faults are kept, and stepped over."""
    stage = _opened(work, declared, reaching)
    if declared.override is not None:
        return stage
    for trigger in reaching.triggers(declared.index):
        stage = _apply(work, stage.but(in_trigger=True), trigger.instruction, faults, trigger)
    stage = stage.but(in_trigger=False)
    for instruction in declared.instructions:
        stage = _apply(work, stage, instruction, faults)
    return stage


def _apply(
    work: Work, stage: Stage, instruction: nodes.Instruction, faults: Faults, trigger: Trigger | None = None
) -> Stage:
    try:
        return _INSTRUCTIONS[type(instruction)](work, stage, instruction)
    except FaultError as fault:
        faults.add(fault, stage.origin if trigger is not None and trigger.foreign else None)
        return stage


def _opened(work: Work, declared: Declared, reaching: Reaching) -> Stage:
    total = sum(isinstance(one, NUMBERED) for one in reaching.instructions(declared.index))
    ignore = _ignores_cache(work.options, declared)
    shown = "" if reaching.alone else declared.shown
    if declared.parent is not None:
        parent = work.done[declared.parent]
        stage = parent.but(index=declared.index, label=declared.label, shown=shown, counter=0, total=total)
        stage = stage.but(ignore_cache=ignore, origin=declared.node.span, cmd_set=False, raw="")
        return _entered(stage.configured(on_build=()))
    return _entered(_rooted(work, declared, reaching.base(declared.index), total, ignore=ignore, shown=shown))


def _rooted(work: Work, declared: Declared, base: Base, total: int, *, ignore: bool, shown: str) -> Stage:
    """A stage that begins with an image, a context or scratch."""
    whole = materialised(work, base, declared.override or declared.base)
    first = int(whole.counted)
    stage = Stage(
        index=declared.index,
        label=declared.label,
        shown=shown,
        platform=whole.platform,
        config=_without_triggers(whole.config),
        tree=whole.tree,
        lineage=whole.lineage,
        counter=first,
        total=total + first,
        origin=declared.node.span,
        ignore_cache=ignore,
        raw="" if base.lineage else base.tree,
    )
    if first:
        work.steps.number(whole.tree, work.prefix(stage, first))
    return stage.configured(working_dir=clean(f"/{stage.cwd}")) if stage.runtime.working_dir else stage


def _without_triggers(config: ImageConfig) -> ImageConfig:
    return msgspec.structs.replace(config, config=msgspec.structs.replace(config.config, on_build=()))


def _entered(stage: Stage) -> Stage:
    """PATH is always there, and the image's variables come behind the ARGs that a parent stage has left."""
    config = with_path(stage.config)
    return stage.but(config=config, environ=environ_of(config, stage.environ))


def _ignores_cache(options: LowerOptions, declared: Declared) -> bool:
    return options.no_cache or declared.name in {name.lower() for name in options.no_cache_stages if name}


def _planned(work: Work, target: Declared, reaching: Reaching) -> Plan:
    """The plan of the target: labels of the command line, and the platform that was asked for."""
    stage = work.done[target.index]
    stage = stage.configured(labels={**stage.runtime.labels, **work.options.labels})
    platform, config = _final_platform(work.options, stage)
    return Plan(
        platform=platform,
        target=target.label,
        steps=work.steps.needed(stage.tree),
        result=stage.tree,
        lineage=stage.lineage,
        config=config,
        history=stage.history,
        stages=tuple(stage.label for stage in work.done.values()),
        warnings=tuple(work.warnings),
        unconsumed=unconsumed(reaching.every_instruction(), work.options),
        source_date_epoch=source_date_epoch(work.options, work.values),
    )


def _final_platform(options: LowerOptions, stage: Stage) -> tuple[str, ImageConfig]:
    """The image is of the platform that was asked for, whatever its base says; of the base's when none was."""
    config = stage.config
    if options.implicit_platform:
        return stage.platform, _spelled(config)
    wanted = read_platform(options.platform, options.build_platform)
    same = (wanted.os, wanted.architecture) == (config.os, config.architecture)
    changed = msgspec.structs.replace(
        config,
        os=wanted.os,
        architecture=wanted.architecture,
        variant=config.variant if same and not wanted.variant else wanted.variant,
        os_version=config.os_version if same else "",
    )
    return options.platform, _spelled(changed)


def _spelled(config: ImageConfig) -> ImageConfig:
    """The platform in the one spelling: arm64 of variant v8 is arm64."""
    plain = normalize(Platform(os=config.os, architecture=config.architecture, variant=config.variant))
    return msgspec.structs.replace(config, os=plain.os, architecture=plain.architecture, variant=plain.variant)
