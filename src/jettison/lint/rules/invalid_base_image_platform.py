"""InvalidBaseImagePlatform: an image that was made for another platform than the one asked for."""

from __future__ import annotations

from jettison.base.errors import InputError
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.oci.documents import ImageConfig, Platform
from jettison.oci.platform import format_platform, normalize
from jettison.planning.scope import read_platform
from jettison.syntax.quoting import quoted


def check(subject: Subject) -> Found:
    """A base, or what COPY and mounts read, of another system or architecture. Images that are not known pass."""
    for need, span in subject.images():
        config = subject.lookup(need)
        if config is None or not config.os or not config.architecture:
            continue
        wanted = _platform(need.platform, subject.options.build_platform)
        actual = _own(config)
        if wanted is not None and (actual.os, actual.architecture) != (wanted.os, wanted.architecture):
            found, expected = quoted(format_platform(actual)), quoted(need.platform)
            message = f"Base image {need.written} was pulled with platform {found}, expected {expected}"
            yield f"{message} for current build", span


def _own(config: ImageConfig) -> Platform:
    return normalize(Platform(os=config.os, architecture=config.architecture, variant=config.variant))


def _platform(text: str, build_platform: str) -> Platform | None:
    try:
        return read_platform(text, build_platform)
    except InputError:
        return None


RULE = Rule(
    name="InvalidBaseImagePlatform",
    description="Base image platform does not match expected target platform",
    check=check,
)
