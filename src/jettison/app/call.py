"""What a Dockerfile can be asked without building it: `--call=check`, `outline` and `targets`. Reference §2.1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from jettison.app.check import findings_of, options_of
from jettison.app.contexts import Contexts
from jettison.app.images import Images
from jettison.app.opening import opened_contexts
from jettison.app.options import given_args, lower_options, platforms
from jettison.app.request import BuildRequest
from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.base.canonical import canonical_digest
from jettison.base.errors import DockerfileError, InputError, JettisonError, NetworkError
from jettison.base.span import Source
from jettison.lint.rule import Finding
from jettison.oci.documents import ImageConfig
from jettison.planning.graph import Plan
from jettison.planning.lower import drive, lower
from jettison.planning.needs import NeedImage, ResolvedImage
from jettison.planning.stage import empty_config
from jettison.planning.targets import Outline, OutlineArg, Target, list_targets
from jettison.planning.targets import outline as outline_of
from jettison.syntax.nodes import Dockerfile
from jettison.syntax.parse import parse_dockerfile
from jettison.syntax.words import ExpansionError, expand


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks found, and what would end the build before its first step.

    `notes` say of which images nothing could be learned, so that no rule looked at what stands on them.
    """

    source: Source
    findings: tuple[Finding, ...] = ()
    error: DockerfileError | None = None
    notes: tuple[str, ...] = ()


class _Asking:
    """The configs of images: of the store, else of their registry; one that cannot be had is noted once.

    A registry that did not answer is not asked again.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._known: dict[tuple[str, str], ImageConfig | None] = {}
        self._silent: set[str] = set()
        self.notes: list[str] = []

    def __call__(self, need: NeedImage) -> ImageConfig | None:
        key = (need.ref, need.platform)
        if key not in self._known:
            self._known[key] = self._ask(need)
        return self._known[key]

    def _ask(self, need: NeedImage) -> ImageConfig | None:
        registry = need.ref.partition("/")[0]
        if registry in self._silent:
            return None
        try:
            return self._images.find(need.ref, need.platform).config
        except NetworkError as error:
            self._silent.add(registry)
            self._note(need, error)
        except InputError as error:
            self._note(need, error)
        return None

    def _note(self, need: NeedImage, error: JettisonError) -> None:
        self.notes.append(f"image {need.written} is not known, nor what it sets: {error.message}")


class _UnknownImageError(Exception):
    """A plan cannot be made without an image that could not be had."""


@contextmanager
def _opened(request: BuildRequest) -> Iterator[tuple[Contexts, Session]]:
    with (
        Session.open(request.store) as session,
        Secrets(request) as secrets,
        opened_contexts(request, session, secrets) as contexts,
    ):
        yield contexts, session


def check(request: BuildRequest) -> Checked:
    """Run the checks, and look for what else is wrong with the Dockerfile, as far as the images are known.

    Raises UsageError and InputError; what is wrong with the Dockerfile is in the result.
    """
    with _opened(request) as (contexts, session):
        source = contexts.dockerfile
        asking = _Asking(Images(session, pull=request.pull))
        findings: tuple[Finding, ...] = ()
        try:
            dockerfile = parse_dockerfile(source)
            options = options_of(dockerfile, request)
            findings = findings_of(dockerfile, request, options, ignore=contexts.main.ignore, lookup=asking)
            _plan_all(dockerfile, request, asking)
        except DockerfileError as error:
            return Checked(source=source, findings=findings, error=error, notes=tuple(asking.notes))
    return Checked(source=source, findings=findings, notes=tuple(asking.notes))


def _plan_all(dockerfile: Dockerfile, request: BuildRequest, asking: _Asking) -> None:
    """Plan for every platform, as far as the images are known. Raises DockerfileError."""

    def resolve(need: NeedImage) -> ResolvedImage:
        config = asking(need)
        if config is None:
            raise _UnknownImageError
        return _resolved(config)

    try:
        for platform in platforms(request):
            drive(lower(dockerfile, lower_options(request, platform, False)), resolve)
    except _UnknownImageError:
        return


def _resolved(config: ImageConfig) -> ResolvedImage:
    return ResolvedImage(digest=canonical_digest(msgspec.to_builtins(config)), config=config)


def targets(request: BuildRequest) -> tuple[Source, tuple[Target, ...]]:
    """The stages that --target may name. Raises DockerfileError, UsageError and InputError."""
    with _opened(request) as (contexts, _):
        return contexts.dockerfile, list_targets(parse_dockerfile(contexts.dockerfile))


def outline(request: BuildRequest) -> tuple[Source, Outline]:
    """What the request's target takes from outside; the default of an argument is its value in this build.

    An image that cannot be had counts as one without ONBUILD. Raises DockerfileError, UsageError and InputError.
    """
    with _opened(request) as (contexts, session):
        dockerfile = parse_dockerfile(contexts.dockerfile)
        asking = _Asking(Images(session, pull=request.pull))
        plan = _plan(dockerfile, request, asking)
    found = outline_of(dockerfile, plan)
    args = _valued(found.args, given_args(request), dockerfile.escape)
    return contexts.dockerfile, msgspec.structs.replace(found, args=args)


def _plan(dockerfile: Dockerfile, request: BuildRequest, asking: _Asking) -> Plan:
    def resolve(need: NeedImage) -> ResolvedImage:
        config = asking(need)
        return _resolved(config if config is not None else empty_config(need.platform))

    return drive(lower(dockerfile, lower_options(request, platforms(request)[0], False)), resolve)


def _valued(args: tuple[OutlineArg, ...], given: dict[str, str], escape: str) -> tuple[OutlineArg, ...]:
    """The arguments with their values: a build-arg's, else the default's, which may use those before it."""
    values: dict[str, str] = {}
    valued: list[OutlineArg] = []
    for arg in args:
        value = given.get(arg.name)
        if value is None and arg.default is not None:
            try:
                value = expand(arg.default, values.get, escape)
            except ExpansionError:
                value = arg.default
        if value is not None:
            values[arg.name] = value
        valued.append(msgspec.structs.replace(arg, default=value))
    return tuple(valued)
