"""Which names a word sees: global ARGs, platform args, build-args, proxies. Reference §1.4."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from jettison.base.errors import InputError
from jettison.oci.documents import Platform
from jettison.oci.platform import format_platform, parse_platform
from jettison.planning.faults import FaultError, Faults, Words
from jettison.planning.needs import LowerOptions
from jettison.syntax.nodes import Arg, ArgName
from jettison.syntax.words import ExpansionError, expand

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")

# Build-args that talk to the builder. Declared by ARG they are ordinary values, but for these two: they never become
# environment, so that turning a scan on does not run everything again.
NEVER_ENVIRONMENT = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


def read_platform(text: str, build_platform: str) -> Platform:
    """`linux/arm64` and the like, normalised; what is left out is the build platform's. Raises InputError."""
    host = parse_platform(build_platform, Platform(os="linux", architecture="amd64"))
    return parse_platform(text, host)


def platform_args(options: LowerOptions) -> dict[str, str]:
    """BUILDPLATFORM to TARGETSTAGE; a build-arg of the same name replaces the value."""
    found = {
        **_described("BUILD", read_platform(options.build_platform, options.build_platform)),
        **_described("TARGET", read_platform(options.platform, options.build_platform)),
        "TARGETSTAGE": options.target or "default",
    }
    return {name: options.build_args.get(name, value) for name, value in found.items()}


def _described(prefix: str, platform: Platform) -> dict[str, str]:
    return {
        f"{prefix}PLATFORM": format_platform(platform),
        f"{prefix}OS": platform.os,
        f"{prefix}OSVERSION": platform.os_version,
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant,
    }


def aim(platform: str, environ: Mapping[str, str]) -> str:
    """`->arm64` where a stage of `platform` has been told by ARG (TARGETPLATFORM, or TARGETOS and TARGETARCH) that it
    makes something for another one; else "". This is what BuildKit shows.
    """
    own = read_platform(platform, platform)
    try:
        target = _told(environ, platform, own)
    except InputError:  # a build-arg may say anything
        return ""
    if target is None or (target.os, target.architecture) == (own.os, own.architecture):
        return ""
    if target.os != own.os:
        return f"->{format_platform(target)}"
    return f"->{target.architecture}{'/' + target.variant if target.variant else ''}"


def _told(environ: Mapping[str, str], platform: str, own: Platform) -> Platform | None:
    if "TARGETPLATFORM" in environ:
        return read_platform(environ["TARGETPLATFORM"], platform)
    if "TARGETOS" not in environ and "TARGETARCH" not in environ:
        return None
    parts = (environ.get("TARGETOS") or own.os, environ.get("TARGETARCH") or own.architecture)
    variant = environ.get("TARGETVARIANT")
    return read_platform("/".join((*parts, variant) if variant else parts), platform)


def global_scope(args: tuple[Arg, ...], options: LowerOptions, escape: str, faults: Faults) -> dict[str, str]:
    """The values that FROM lines see, and that a bare ARG in a stage takes over: each may use the earlier ones.

    A build-arg replaces a default, whose faults then do not matter.
    """
    values = platform_args(options)
    for arg in args:
        for name in arg.names:
            try:
                value = _global_value(name, options, values, escape)
            except FaultError as fault:
                faults.add(fault)
                continue
            if value is not None:
                values[name.name] = value
    return values


def _global_value(name: ArgName, options: LowerOptions, values: dict[str, str], escape: str) -> str | None:
    if name.name in options.build_args:
        return options.build_args[name.name]
    if name.default is None:
        return None
    return Words(values.get, escape, name.span).word(name.default)


def names_in(text: str, escape: str) -> set[str]:
    """The names that a word asks for where none is set; those before a fault, where it has one."""
    found: set[str] = set()
    with contextlib.suppress(ExpansionError):
        expand(text, found.add, escape)
    return found


def proxy_environment(options: LowerOptions) -> tuple[tuple[str, str], ...]:
    """The proxy variables of RUN, each in both cases: from the options, and from build-args, which win."""
    values: dict[str, str] = {}
    for given in (options.proxy_env, options.build_args):
        for name in sorted(given):
            if name.upper() in PROXIES:
                values[name.upper()] = given[name]
    pairs = [(name, values[name]) for name in PROXIES if values.get(name)]
    return tuple((spelled, value) for name, value in pairs for spelled in (name, name.lower()))


def source_date_epoch(options: LowerOptions, values: dict[str, str]) -> str:
    """The text of SOURCE_DATE_EPOCH, from a build-arg or a global ARG; "" when it is not given."""
    return options.build_args.get("SOURCE_DATE_EPOCH", values.get("SOURCE_DATE_EPOCH", ""))
