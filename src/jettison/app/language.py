"""The language alone: parse a Dockerfile, and plan it with configs that the caller gives. No store, no network."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jettison.base.canonical import canonical_digest
from jettison.base.errors import InputError
from jettison.base.span import Source
from jettison.oci.documents import ImageConfig
from jettison.planning.graph import Plan
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions, NeedImage, ResolvedImage
from jettison.syntax.nodes import Dockerfile
from jettison.syntax.parse import parse_dockerfile


def parse(text: str, *, name: str = "Dockerfile") -> Dockerfile:
    """The syntax tree of a Dockerfile's text. `name` is what errors call it.

    Raises DockerfileError, which holds everything that was found wrong, each with its place.
    """
    return parse_dockerfile(Source(name, text))


def plan(
    dockerfile: Dockerfile | str,
    *,
    target: str | None = None,
    build_args: Mapping[str, str] | None = None,
    images: Mapping[str, ImageConfig] | None = None,
    platform: str = "linux/amd64",
) -> Plan:
    """The steps that `target` needs, with the configs of its bases taken from `images`, by the name that FROM gives.

    Raises DockerfileError, and InputError for a base that `images` does not hold.
    """
    tree = parse(dockerfile) if isinstance(dockerfile, str) else dockerfile
    options = LowerOptions(platform=platform, build_platform=platform, target=target, build_args=dict(build_args or {}))

    def resolve(need: NeedImage) -> ResolvedImage:
        config = (images or {}).get(need.written) or (images or {}).get(need.ref)
        if config is None:
            raise InputError(f"no config was given for image {need.written}", hint="pass it in `images`").at(
                need.location
            )
        return ResolvedImage(digest=canonical_digest(msgspec.to_builtins(config)), config=config)

    return drive(lower(tree, options), resolve)
