"""What the rules look at: a Dockerfile, its stages and words, and what is known of the images that it names.

Everything here is computed when a rule first asks for it, and once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import msgspec

from jettison.base.errors import InputError, Location
from jettison.base.span import Span
from jettison.lint.walk import Use, Walk
from jettison.lint.words import Looked, look
from jettison.oci.documents import ImageConfig
from jettison.oci.reference import parse_reference
from jettison.planning.contexts import context_for, image_ref
from jettison.planning.faults import FaultError, Faults
from jettison.planning.needs import LowerOptions, NeedImage
from jettison.planning.refs import refs_of
from jettison.planning.scope import global_scope
from jettison.planning.stage import empty_config
from jettison.planning.stages import SCRATCH, Declared, Declaring, Stages, split
from jettison.syntax.nodes import Dockerfile, From

Lookup = Callable[[NeedImage], "ImageConfig | None"]  # None: not known, and not worth a fault


def nothing_known(_need: NeedImage) -> ImageConfig | None:
    """The Lookup of who has no images: rules that need one find nothing then."""
    return None


class FromWords(msgspec.Struct, frozen=True):
    """The words of one FROM as the global scope expands them; `platform` None without the flag."""

    node: From
    base: Looked
    platform: Looked | None


class Subject:
    """One Dockerfile with the options of one plan. `ignore` are the patterns of the main context's ignore file."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        options: LowerOptions,
        *,
        ignore: tuple[str, ...] = (),
        lookup: Lookup = nothing_known,
    ) -> None:
        self.dockerfile = dockerfile
        self.options = options
        self.ignore = ignore
        self.lookup = lookup
        self.globals, self.stages = split(dockerfile)

    @cached_property
    def global_names(self) -> frozenset[str]:
        """The names that an ARG before the first FROM declares."""
        return frozenset(name.name for arg in self.globals for name in arg.names)

    @cached_property
    def values(self) -> dict[str, str]:
        """What FROM lines see."""
        return global_scope(self.globals, self.options, self.dockerfile.escape, Faults(self.dockerfile.source))

    @cached_property
    def from_words(self) -> tuple[FromWords, ...]:
        """The words of every FROM."""
        scope, escape = self.values.get, self.dockerfile.escape
        return tuple(
            FromWords(
                node,
                look(node.base.text, scope, escape),
                look(node.platform.text, scope, escape) if node.platform else None,
            )
            for node, _ in self.stages
        )

    @cached_property
    def declared(self) -> Stages:
        """All stages, each with its base and its parent. What is wrong with one leaves it based on scratch."""
        declaring = Declaring(
            self.values,
            self.options,
            declared=self.global_names,
            escape=self.dockerfile.escape,
            faults=Faults(self.dockerfile.source),
            warn=None,
        )
        for node, body in self.stages:
            declaring.add(node, body)
        return declaring.done()

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every instruction of every stage with its words as they are expanded where it stands."""
        walk = Walk(self.dockerfile.escape, self.options.build_args, self.values)
        for stage in self.declared.all:
            walk.stage(stage, None if stage.parent is not None else self.base_config(stage))
        return tuple(walk.uses)

    def base_config(self, stage: Declared) -> ImageConfig | None:
        """The config that a stage which builds on no other one begins with; None when it is not known."""
        if stage.override is not None:
            need: NeedImage | None = self._of_context(stage.override, stage.platform, stage.node.base.span)
        elif stage.base == SCRATCH:
            need = None
        else:
            need = self._of_name(stage.base, stage.platform, stage.node.base.span)
        return empty_config(self.options.platform) if need is None else self.lookup(need)

    def images(self) -> Iterator[tuple[NeedImage, Span]]:
        """Every image that the file names: bases, and what COPY and mounts read beside stages."""
        for stage in self.declared.all:
            need: NeedImage | None = None
            if stage.override is None and stage.parent is None and stage.base != SCRATCH:
                need = self._of_name(stage.base, stage.platform, stage.node.base.span)
            if need is not None:
                yield need, stage.node.base.span
            yield from self._images_read(stage)

    def _images_read(self, stage: Declared) -> Iterator[tuple[NeedImage, Span]]:
        for instruction in stage.instructions:
            try:
                refs = refs_of(instruction, self.declared)
            except FaultError:
                continue
            for ref in refs:
                if ref.stage is None and ref.text != SCRATCH:
                    need = self._of_name(ref.text, None, ref.span)
                    if need is not None:
                        yield need, ref.span

    def _of_name(self, written: str, platform: str | None, span: Span) -> NeedImage | None:
        """The image that a name means; None when it is a context that is no image, or no reference at all."""
        wanted = platform or self.options.platform
        context = context_for(written, wanted, self.options)
        if context is not None:
            return self._of_context(context, platform, span)
        try:
            return self._need(str(parse_reference(written)), written, wanted, span)
        except InputError:
            return None

    def _of_context(self, name: str, platform: str | None, span: Span) -> NeedImage | None:
        try:
            ref = image_ref(self.options.contexts[name])
        except InputError:
            return None
        return None if ref is None else self._need(ref, name, platform or self.options.platform, span)

    def _need(self, ref: str, written: str, platform: str, span: Span) -> NeedImage:
        place = Location(self.dockerfile.source, span)
        return NeedImage(ref=ref, platform=platform, written=written, location=place)
