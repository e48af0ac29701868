"""A request as the options of a lowering: platforms, build args, proxies. Pure but for the environment it is given."""

from __future__ import annotations

import os

from jettison.app.request import BuildRequest
from jettison.base.errors import UsageError
from jettison.oci.platform import format_platform, host_platform, parse_platform
from jettison.planning.graph import Plan
from jettison.planning.needs import LowerOptions
from jettison.planning.ops import RunOp
from jettison.planning.remotes import go_bool

# Reference §1.4: predefined, injected into RUN only, in no key and no history.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def platforms(request: BuildRequest) -> tuple[str, ...]:
    """The platforms to build for, each once, in order; this machine's when none was named. Raises InputError."""
    if not request.platforms:
        return (format_platform(host_platform()),)
    return tuple(dict.fromkeys(format_platform(parse_platform(text)) for text in request.platforms))


def is_multiple(request: BuildRequest, wanted: tuple[str, ...]) -> bool:
    """Whether the result is an index of images: several platforms, or BUILDKIT_MULTI_PLATFORM says so of one."""
    return len(wanted) > 1 or go_bool(given_args(request).get("BUILDKIT_MULTI_PLATFORM", "")) is True


def has_inline_cache(request: BuildRequest) -> bool:
    """Whether images carry their cache: --cache-to type=inline, or BUILDKIT_INLINE_CACHE as a build arg."""
    asked = go_bool(given_args(request).get("BUILDKIT_INLINE_CACHE", "")) is True
    return asked or any(target.type == "inline" for target in request.cache_to)


def default_jobs() -> int:
    """How many steps run at once: more than there are processors, since most steps wait for a disk or a server, and
    stages are often independent. BuildKit knows no limit at all.
    """
    return max(16, 4 * (os.cpu_count() or 1))


def lower_options(
    request: BuildRequest, platform: str, several: bool, stamps: dict[str, str] | None = None
) -> LowerOptions:
    """What one plan depends on beside the Dockerfile. `stamps` are those of secrets (`Secrets.stamps`). Raises
    UsageError.
    """
    if request.network not in ("default", "none", "host"):
        raise UsageError(f"network mode {request.network!r} is not default, none or host")
    return LowerOptions(
        platform=platform,
        build_platform=format_platform(host_platform()),
        target=request.target,
        build_args=given_args(request),
        contexts=request.build_contexts,
        labels=request.labels,
        network=request.network,
        extra_hosts=request.add_hosts,
        shm_size_bytes=request.shm_size_bytes,
        proxy_env=proxies(dict(os.environ)),
        secret_stamps=stamps or {},
        no_cache=request.no_cache,
        no_cache_stages=request.no_cache_filter,
        implicit_platform=not request.platforms,
        show_platform=several,
    )


def check_entitlements(request: BuildRequest, plan: Plan) -> None:
    """Raise UsageError, at its line, for a RUN that wants what only --allow gives (reference §1.8)."""
    allowed = {*request.allow, "network.host"} if request.network == "host" else {*request.allow}
    for step in plan.steps:
        if isinstance(step.op, RunOp):
            wanted = {"network.host": step.op.network == "host", "security.insecure": step.op.security == "insecure"}
            for name in (name for name, needed in wanted.items() if needed and name not in allowed):
                raise UsageError(f"{name} is not allowed", hint=f"--allow {name}", location=step.location)


def given_args(request: BuildRequest) -> dict[str, str]:
    """Build args with a value: a bare name takes the environment's, and is not given when there is none."""
    found = {}
    for name, value in request.build_args.items():
        text = os.environ.get(name) if value is None else value
        if text is not None:
            found[name] = text
    if request.source_date_epoch is not None:
        found.setdefault("SOURCE_DATE_EPOCH", str(request.source_date_epoch))
    return found


def proxies(environ: dict[str, str]) -> dict[str, str]:
    """The proxy variables that are set, in both cases."""
    return {name: environ[name] for upper in PROXIES for name in (upper, upper.lower()) if environ.get(name)}


def epoch_of(plan: Plan) -> int | None:
    """SOURCE_DATE_EPOCH in seconds: of the environment, a build arg or a global ARG. Raises UsageError."""
    text = plan.source_date_epoch or ""
    if not text:
        return None
    if not text.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is seconds since 1970, not {text!r}")
    return int(text)
