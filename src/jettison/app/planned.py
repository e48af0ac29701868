"""What a Dockerfile is planned as: lowered once for a text and what it depends on, then remembered.

A plan follows from the text, the options and the images that lowering asks for, and from nothing else: where all of
these are as they were, it is what it was. So a build that has nothing to do parses no Dockerfile.
"""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

from collections.abc import Callable

import msgspec

from jettison import __version__
from jettison.base.canonical import canonical_digest
from jettison.base.errors import Location
from jettison.base.span import Source, Span
from jettison.planning.graph import Plan
from jettison.planning.needs import LowerOptions, NeedImage, ResolvedImage
from jettison.planning.ops import RunOp
from jettison.store.answers import Answers

_LONGEST_BYTES = 1 << 18  # of a plan: one that is longer takes longer than an import to be made, anyway
Resolve = Callable[[NeedImage], ResolvedImage]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """A location without its text: number 0 of the sources is the Dockerfile."""

    source: int
    span: Span


class _Asked(msgspec.Struct, frozen=True, array_like=True):
    """An image that was asked for, and what was answered: its config follows from its digest."""

    need: NeedImage
    place: _Place | None
    digest: str
    platform: str | None


class _Remembered(msgspec.Struct, frozen=True, array_like=True):
    """A plan without the texts of its locations: `places` are those of its steps. `sources`: the texts that are not the
    Dockerfile's (what a base's ONBUILD says).
    """

    plan: Plan
    places: tuple[_Place | None, ...]
    asked: tuple[_Asked, ...]
    sources: tuple[Source, ...]


def planned(
    source: Source,
    options: LowerOptions,
    resolve: Resolve,
    answers: Answers,
    on_new: Callable[[], object] | None = None,
) -> Plan:
    """The plan of the Dockerfile `source`. What `resolve` answers is asked every time. Raises what lowering does.

    `on_new` is called, once or twice, for a plan that was not known and has steps: some will have to be done, most
    likely. The first time is before any image is asked for, which may take a while.
    """
    answered = _Answered(resolve)
    key = canonical_digest(("plan", __version__, source, options))
    remembered = _decoded(answers.get(key))
    if remembered is not None and _is_as_it_was(remembered, source, answered):
        return _with_places(remembered, source)
    from jettison.planning.lower import drive, lower
    from jettison.syntax.nodes import Add, Copy, Run, Workdir
    from jettison.syntax.parse import parse_dockerfile

    parsed = parse_dockerfile(source)
    if on_new is not None and any(isinstance(each, Run | Copy | Add | Workdir) for each in parsed.instructions):
        on_new()
    plan = drive(lower(parsed, options), answered.resolve)
    data = _encoded(plan, source, answered)
    if data:
        answers.put(key, data)
    if on_new is not None and any(step.inputs for step in plan.steps):  # those of a base's triggers among them
        on_new()
    return plan


class _Answered:
    """Resolves, each image once, and knows what was asked and answered, in order."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self.known: dict[tuple[str, str], tuple[NeedImage, ResolvedImage]] = {}

    def resolve(self, need: NeedImage) -> ResolvedImage:
        key = (need.ref, need.platform)
        if key not in self.known:
            self.known[key] = (need, self._resolve(need))
        return self.known[key][1]


def _decoded(data: bytes | None) -> _Remembered | None:
    try:
        return None if data is None else msgspec.msgpack.decode(data, type=_Remembered)
    except msgspec.DecodeError:  # damaged: it is made again
        return None


def _is_as_it_was(remembered: _Remembered, source: Source, answered: _Answered) -> bool:
    """Whether every image is still the one that it was. They are asked for as lowering would: until one is another."""
    for each in remembered.asked:
        location = _location(each.place, source, remembered.sources)
        found = answered.resolve(msgspec.structs.replace(each.need, location=location))
        if (found.digest, found.platform) != (each.digest, each.platform):
            return False
    return True


def _with_places(remembered: _Remembered, source: Source) -> Plan:
    steps = tuple(
        msgspec.structs.replace(step, location=_location(place, source, remembered.sources))
        for step, place in zip(remembered.plan.steps, remembered.places, strict=True)
    )
    return msgspec.structs.replace(remembered.plan, steps=steps)


def _location(place: _Place | None, source: Source, others: tuple[Source, ...]) -> Location | None:
    return None if place is None else Location((source, *others)[place.source], place.span)


def _encoded(plan: Plan, source: Source, answered: _Answered) -> bytes:
    """The plan as it is kept; b"" for one that is not: a proxy's address may hold a password, and is kept nowhere."""
    if any(isinstance(step.op, RunOp) and step.op.run_only.proxy_env for step in plan.steps):
        return b""
    sources = [source]

    def place(location: Location | None) -> _Place | None:
        if location is None:
            return None
        if location.source not in sources:
            sources.append(location.source)
        return _Place(sources.index(location.source), location.span)

    bare = tuple(msgspec.structs.replace(step, location=None) for step in plan.steps)
    asked = tuple(
        _Asked(msgspec.structs.replace(need, location=None), place(need.location), image.digest, image.platform)
        for need, image in answered.known.values()
    )
    places = tuple(place(step.location) for step in plan.steps)
    remembered = _Remembered(msgspec.structs.replace(plan, steps=bare), places, asked, tuple(sources[1:]))
    try:
        data = msgspec.msgpack.encode(remembered)
    except UnicodeEncodeError:  # a Dockerfile that is not UTF-8
        return b""
    return data if len(data) <= _LONGEST_BYTES else b""
