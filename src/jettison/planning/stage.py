"""A stage while it is lowered: a frozen value that every instruction replaces by the next one."""

from __future__ import annotations

from typing import Any

import msgspec

from jettison.base.errors import Location
from jettison.base.span import Span
from jettison.oci.documents import ImageConfig, RuntimeConfig
from jettison.planning import history
from jettison.planning.faults import Words
from jettison.planning.graph import PlannedHistory, Step
from jettison.planning.needs import LowerOptions, Warn
from jettison.planning.ops import CONTEXT, AnyOp, LocalOp
from jettison.planning.refs import Ref
from jettison.planning.scope import aim
from jettison.planning.stages import Stages
from jettison.planning.steps import Steps
from jettison.syntax.nodes import Dockerfile

DEFAULT_SHELL = ("/bin/sh", "-c")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What the instructions so far have made.

    `tree` is the step whose result the next one builds on, `lineage` those that the layers are of. `environ` is what
    words and RUN see, in order: ENV of the image, and ARGs. `args` are the ARGs declared so far, value None while
    unset. `counter` of `total` numbers the steps for display. `origin` is the place of the FROM, which stands for
    triggers that an image brought. `cmd_set`: this stage itself has set CMD. `raw`: what a context that stands for the
    stage is read from, where that is no tree of layers.
    """

    index: int
    label: str
    shown: str
    platform: str
    config: ImageConfig
    tree: str
    lineage: tuple[str, ...]
    history: tuple[PlannedHistory, ...] = ()
    environ: dict[str, str] = {}
    args: tuple[tuple[str, str | None], ...] = ()
    counter: int = 0
    total: int = 0
    origin: Span
    cmd_set: bool = False
    workdir_set: bool = False
    ignore_cache: bool = False
    in_trigger: bool = False
    raw: str = ""

    @property
    def readable(self) -> str:
        """The step that COPY --from and mounts of this stage read."""
        return self.raw or self.tree

    @property
    def runtime(self) -> RuntimeConfig:
        """The image config's `config`."""
        return self.config.config

    @property
    def cwd(self) -> str:
        """The working directory, absolute."""
        return self.runtime.working_dir or "/"

    @property
    def shell(self) -> tuple[str, ...]:
        """What a shell form is given to."""
        return self.runtime.shell or DEFAULT_SHELL

    def but(self, **changes: Any) -> Stage:
        """This stage with fields replaced."""
        return msgspec.structs.replace(self, **changes)

    def configured(self, **changes: Any) -> Stage:
        """This stage with fields of its runtime config replaced."""
        runtime = msgspec.structs.replace(self.runtime, **changes)
        return self.but(config=msgspec.structs.replace(self.config, config=runtime))

    def noted(self, text: str) -> Stage:
        """This stage with one more history entry that makes no layer."""
        return self.but(history=(*self.history, history.metadata(text)))


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What one lowering shares: read by all instructions, changed only by adding to `steps`, `trees`,
    `done` and `warnings`.

    `trees` are the trees that `--from` may name beside stages: the step by the name as written. `done` are the stages
    lowered so far, by index.
    """

    dockerfile: Dockerfile
    options: LowerOptions
    values: dict[str, str]
    stages: Stages
    steps: Steps
    proxies: tuple[tuple[str, str], ...]
    trees: dict[str, str]
    done: dict[int, Stage]
    warnings: list[str]
    warn: Warn | None = None

    def context(self) -> str:
        """The step that reads the main build context."""
        return self.steps.source(f"local:{CONTEXT}", LocalOp(name=CONTEXT), "[internal] load build context")

    def tree(self, ref: Ref) -> str:
        """The step that a `--from` reads."""
        return self.trees[ref.text] if ref.stage is None else self.done[ref.stage].readable

    def words(self, stage: Stage, span: Span) -> Words:
        """How the words of an instruction in `stage` are expanded."""
        return Words(stage.environ.get, self.dockerfile.escape, span, self._unset(stage))

    def _unset(self, stage: Stage) -> Any:
        warn = self.warn
        if warn is None:
            return None
        declared = {name for name, _ in stage.args}
        return lambda name, span: (
            None if name in declared else warn("UndefinedVar", f"Usage of undefined variable '${name}'", span)
        )

    def location(self, span: Span) -> Location:
        """A span of the Dockerfile as a location."""
        return Location(self.dockerfile.source, span)

    def extend(self, stage: Stage, op: AnyOp, inputs: tuple[str, ...], text: str, span: Span) -> Stage:
        """Add a step on top of the stage's tree. `inputs` are what it reads beside the tree; `text` is displayed."""
        counter = stage.counter + 1
        trigger = "ONBUILD " if stage.in_trigger else ""
        step = Step(
            id=f"{stage.label}.{counter}",
            op=op,
            inputs=(stage.tree, *inputs),
            stage=stage.label,
            display=self.prefix(stage, counter) + trigger + text,
            location=self.location(span),
        )
        self.steps.add(step)
        return stage.but(counter=counter, tree=step.id, lineage=(*stage.lineage, step.id))

    def prefix(self, stage: Stage, counter: int) -> str:
        """`[build 2/5] `, the number as wide as the total; `[linux/amd64->arm64 build 2/5] ` of several."""
        shown = self.options.show_platform
        platform = f"{stage.platform}{aim(stage.platform, stage.environ)} " if shown else ""
        name = f"{stage.shown} " if stage.shown else ""
        return f"[{platform}{name}{counter:>{len(str(stage.total))}}/{stage.total}] "


def with_path(config: ImageConfig) -> ImageConfig:
    """The config with a PATH: a base without one gets the usual directories. Reference §1.4."""
    if config.os == "windows" or any(entry.partition("=")[0] == "PATH" for entry in config.config.env):
        return config
    runtime = msgspec.structs.replace(config.config, env=(*config.config.env, f"PATH={DEFAULT_PATH}"))
    return msgspec.structs.replace(config, config=runtime)


def environ_of(config: ImageConfig, before: dict[str, str] | None = None) -> dict[str, str]:
    """The variables of an image, behind those of `before`; a name set again moves to the end."""
    environ = dict(before or {})
    for entry in config.config.env:
        name, _, value = entry.partition("=")
        environ.pop(name, None)
        environ[name] = value
    return environ


def empty_config(platform: str) -> ImageConfig:
    """The config of scratch."""
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    return ImageConfig(os=system, architecture=architecture, variant=variant, config=RuntimeConfig(working_dir="/"))
