"""What a stage begins with: scratch, an image or a named context. Images are asked for here. Reference §1.5, §1.10."""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from jettison.base.errors import InputError
from jettison.base.span import Span
from jettison.oci.documents import ImageConfig
from jettison.oci.platform import format_platform
from jettison.oci.reference import parse_reference
from jettison.planning.contexts import IMAGE, LAYOUT, context_for, familiar, image_ref, source_op
from jettison.planning.faults import FaultError
from jettison.planning.needs import NeedImage, ResolvedImage
from jettison.planning.ops import CopyOp, CopySource, ImageOp, LocalOp, ScratchOp
from jettison.planning.refs import Ref
from jettison.planning.scope import read_platform
from jettison.planning.stage import Work, empty_config
from jettison.planning.stages import SCRATCH, Declared
from jettison.syntax.suggest import closest

Asking = Generator[NeedImage, ResolvedImage, "Base"]


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `tree` is the step to read from; `lineage` the steps whose layers it is, empty when a context
    that is no image must first be copied into an empty tree. `counted`: it is a numbered step of the stage.
    """

    tree: str
    config: ImageConfig
    platform: str
    lineage: tuple[str, ...]
    counted: bool = True


def stage_base(work: Work, stage: Declared) -> Asking:
    """The base of a stage that builds on no other stage. Raises FaultError."""
    target = work.options.platform
    platform = stage.platform or target
    place = stage.node.base.span
    if stage.override is not None:
        return (yield from _context(work, stage.override, platform, place))
    if stage.base == SCRATCH:
        return _scratch(work, target)
    name = context_for(stage.base, platform, work.options)
    if name is not None:
        return (yield from _context(work, name, platform, place))
    return (yield from _image(work, stage.base, platform, place, chosen=stage.platform is not None))


def tree_base(work: Work, ref: Ref) -> Asking:
    """What a `--from` that is no stage reads: scratch, a context or an image. Raises FaultError."""
    platform = work.options.platform
    if ref.text == SCRATCH:
        return _scratch(work, platform)
    name = context_for(ref.text, platform, work.options)
    if name is not None:
        return (yield from _context(work, name, platform, ref.span))
    return (yield from _image(work, ref.text, platform, ref.span, chosen=False))


def materialised(work: Work, base: Base, name: str) -> Base:
    """A base that is a tree of layers: a context that is no image is copied into an empty one."""
    if base.lineage:
        return base
    empty = work.steps.source(SCRATCH, ScratchOp(), "FROM scratch")
    op = CopyOp(sources=(CopySource(input=1, path="/"),), dest="/", dest_is_dir=True)
    step = work.steps.source(f"context:{name}", op, f"[context {name}] FROM {name}", inputs=(empty, base.tree))
    return msgspec.structs.replace(base, tree=step, lineage=(empty, step))


def _scratch(work: Work, platform: str) -> Base:
    step = work.steps.source(SCRATCH, ScratchOp(), "FROM scratch")
    return Base(tree=step, config=empty_config(platform), platform=platform, lineage=(step,), counted=False)


def _context(work: Work, name: str, platform: str, span: Span) -> Asking:
    spec = work.options.contexts[name]
    if spec.removeprefix(IMAGE) == SCRATCH and spec != SCRATCH:
        return _scratch(work, platform)
    try:
        ref = image_ref(spec)
        if ref is not None:
            return (yield from _asked(work, ref, name, platform, span, chosen=True))
        op = source_op(name, spec)
    except InputError as error:
        raise FaultError(f"build context {name}: {error.message}", span, error.hint) from None
    kind = "local" if isinstance(op, LocalOp) else "context"
    step = work.steps.source(f"{kind}:{name}", op, f"[context {name}] load {spec}", work.location(span))
    return Base(tree=step, config=empty_config(platform), platform=platform, lineage=())


def _image(work: Work, written: str, platform: str, span: Span, *, chosen: bool) -> Asking:
    try:
        ref = str(parse_reference(written))
    except InputError as error:
        raise FaultError(f'failed to parse stage name "{written}": {error.message}', span, error.hint) from None
    return (yield from _asked(work, ref, written, platform, span, chosen=chosen))


def _asked(work: Work, ref: str, written: str, platform: str, span: Span, *, chosen: bool) -> Asking:
    """Ask for an image. `chosen`: the Dockerfile or a context says for which platform."""
    near = closest(written, [stage.name for stage in work.stages.all if stage.name]) or ""
    answer = yield NeedImage(ref=ref, platform=platform, written=written, stage=near, location=work.location(span))
    config = msgspec.structs.replace(answer.config, created=None)
    actual = _platform_of(work, config, platform)
    if _differs(actual, platform):
        _warn(work, written, platform, actual, span)
    if work.options.implicit_platform and not chosen:
        platform = answer.platform or actual
    if _is_empty(config):
        return msgspec.structs.replace(_scratch(work, platform), config=config, counted=True)
    op = ImageOp(ref=ref, platform=platform, digest=answer.digest)
    shown = written if ref.startswith(LAYOUT) else familiar(ref)
    named = written if ref.startswith(LAYOUT) else ref  # a layout's directory is this machine's business
    display = f"FROM {named}" if "@" in named else f"FROM {named}@{answer.digest}"
    step = work.steps.source(f"image:{shown}@{platform}", op, display, work.location(span))
    return Base(tree=step, config=config, platform=platform, lineage=(step,))


def _is_empty(config: ImageConfig) -> bool:
    """Whether an image has no layer at all (one without diff_ids may be older than those)."""
    return not config.rootfs.diff_ids and all(entry.empty_layer for entry in config.history)


def _platform_of(work: Work, config: ImageConfig, platform: str) -> str:
    if not config.os or not config.architecture:
        return platform
    text = "/".join(part for part in (config.os, config.architecture, config.variant) if part)
    try:
        return format_platform(read_platform(text, work.options.build_platform))
    except InputError:
        return text


def _differs(left: str, right: str) -> bool:
    """Whether system or architecture differ; the variant is a matter of what runs where."""
    return left.split("/")[:2] != right.split("/")[:2]


def _warn(work: Work, written: str, platform: str, actual: str, span: Span) -> None:
    message = f'Base image {written} was pulled with platform "{actual}", expected "{platform}" for current build'
    work.warnings.append(f"{work.location(span)}: {message}")
    if work.warn is not None:
        work.warn("InvalidBaseImagePlatform", message, span)
