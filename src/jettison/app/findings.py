"""What the build checks say, as events of a build: asked once for a text and what it depends on, then remembered."""

from __future__ import annotations

import os

import msgspec

from jettison import __version__
from jettison.app.images import Images
from jettison.app.options import given_args
from jettison.app.request import BuildRequest
from jettison.base.canonical import canonical_digest
from jettison.base.readable import readable_json
from jettison.base.span import Source
from jettison.record.model import Warned
from jettison.store.store import Store

_events = msgspec.json.Decoder(tuple[Warned, ...])


def warnings_of(
    source: Source, request: BuildRequest, ignore: tuple[str, ...], images: Images, store: Store
) -> tuple[Warned, ...]:
    """What is to be told of a Dockerfile. Raises DockerfileError where `error=true` makes errors of it."""
    key = canonical_digest(
        (
            "checks",
            __version__,
            source,
            request.target,
            request.platforms,
            given_args(request),
            request.build_contexts,
            os.environ.get("BUILDKIT_DOCKERFILE_CHECK"),
            ignore,
            images.asked(),
        )
    )
    known = store.answers.get(key)
    if known is not None:
        return _events.decode(known)
    found = _ask(source, request, ignore, images)
    store.answers.put(key, readable_json(found))
    return found


def _ask(source: Source, request: BuildRequest, ignore: tuple[str, ...], images: Images) -> tuple[Warned, ...]:
    from jettison.app.check import as_event, lint_warnings
    from jettison.syntax.parse import parse_dockerfile

    dockerfile = parse_dockerfile(source)
    findings = lint_warnings(dockerfile, request, ignore=ignore, lookup=images.config_of)
    return tuple(as_event(dockerfile, finding) for finding in findings)
