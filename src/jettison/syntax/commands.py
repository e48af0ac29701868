"""RUN, CMD, ENTRYPOINT, SHELL and HEALTHCHECK. Reference §1.8, §1.9."""

from __future__ import annotations

import re

from jettison.syntax.blanks import SPACE, SPACE_CLASS
from jettison.syntax.durations import parse_duration
from jettison.syntax.fields import split_fields
from jettison.syntax.flags import STRING, STRINGS, Flags, Table
from jettison.syntax.jsonform import NotStringsError, parse_json
from jettison.syntax.nodes import (
    Cmd,
    Command,
    Entrypoint,
    ExecForm,
    Flag,
    Healthcheck,
    MountOption,
    Run,
    Shell,
    ShellForm,
)
from jettison.syntax.quoting import quoted
from jettison.syntax.regex import lazy
from jettison.syntax.request import Request
from jettison.syntax.suggest import did_you_mean

NETWORKS = ("default", "none", "host")
SECURITY = ("sandbox", "insecure")
MIN_INTERVAL_NS = 1_000_000  # what the runtime takes

_RUN_FLAGS: Table = {"mount": STRINGS, "network": STRING, "security": STRING, "device": STRINGS}
_HEALTH_FLAGS: Table = {
    "interval": STRING,
    "timeout": STRING,
    "start-period": STRING,
    "start-interval": STRING,
    "retries": STRING,
}
_FIRST = lazy(rf"([^{SPACE_CLASS}]*){SPACE}*")
_VARIABLE = lazy(r"\$.", re.DOTALL)
_INTEGER = lazy(r"[+-]?[0-9]{1,18}\Z")


def json_args(request: Request, text: str) -> tuple[str, ...] | None:
    """The strings of a JSON form, or None for shell form; an array of anything else is an error."""
    try:
        return parse_json(text)
    except NotStringsError as error:
        span = request.line.span(request.args_start, request.end)
        raise request.fail(str(error), "put quotes around each argument", span) from None


def command_of(request: Request, text: str) -> Command:
    """The JSON form or the shell form of `text`, which is what the arguments end with."""
    args = json_args(request, text)
    if args is not None:
        return ExecForm(args)
    return ShellForm(text, tuple(placed.node for placed in request.heredocs))


def parse_run(request: Request) -> Run:
    flags = Flags(request, _RUN_FLAGS)
    mounts = tuple(_mount(request, flag) for flag in flags.all("mount"))
    devices = tuple(_device(request, flag) for flag in flags.all("device"))
    return Run(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        command=command_of(request, request.args),
        mounts=mounts,
        network=_one_of(request, flags.given("network"), NETWORKS, "invalid network mode {}"),
        security=_one_of(request, flags.given("security"), SECURITY, "security {} is not valid"),
        devices=devices,
    )


def _mount(request: Request, flag: Flag) -> MountOption:
    fields: list[tuple[str, str | None]] = []
    for field in _fields(request, flag, "mounts"):
        key, equals, value = field.partition("=")
        key = key.lower()
        if key == "from" and _VARIABLE.search(value):
            message = "'from' doesn't support variable expansion, define alias stage instead"
            request.fault(message, flag.span, "FROM $NAME AS alias, with NAME a global ARG, then from=alias")
        fields.append((key, value if equals else None))
    return MountOption(tuple(fields), flag.span)


def _device(request: Request, flag: Flag) -> str:
    _fields(request, flag, "devices")
    return flag.value or ""


def _fields(request: Request, flag: Flag, what: str) -> list[str]:
    try:
        return split_fields(flag.value or "")
    except ValueError as error:
        request.fault(f"failed to parse csv {what}: {error}", flag.span, "fields are key=value, separated by commas")
        return []


def _one_of(request: Request, flag: Flag | None, known: tuple[str, ...], message: str) -> str | None:
    if flag is None:
        return None
    value = flag.value or ""
    if value not in known:
        hint = did_you_mean(value, known) or f"it is one of {', '.join(known)}"
        request.fault(message.format(quoted(value)), flag.span, hint)
    return value


def parse_cmd(request: Request) -> Cmd:
    Flags(request, {})
    return Cmd(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        command=command_of(request, request.args),
    )


def parse_entrypoint(request: Request) -> Entrypoint:
    Flags(request, {})
    return Entrypoint(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        command=command_of(request, request.args),
    )


def parse_shell(request: Request) -> Shell:
    Flags(request, {})
    args = json_args(request, request.args)
    if args is None and request.args:
        raise request.fail("SHELL requires the arguments to be in JSON form", 'write SHELL ["/bin/sh", "-c"]')
    if not args:
        raise request.fail("SHELL requires at least one argument", 'write SHELL ["/bin/sh", "-c"]')
    return Shell(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        args=args,
    )


def parse_healthcheck(request: Request) -> Healthcheck:
    found = _FIRST.match(request.args)
    kind = found[1] if found else ""
    rest = request.args[found.end() if found else 0 :]
    if not kind:
        raise request.fail("HEALTHCHECK requires at least one argument", "write HEALTHCHECK CMD … or HEALTHCHECK NONE")
    if kind.upper() == "NONE":  # with which the builder looks at no flag
        if rest:
            raise request.fail("HEALTHCHECK NONE takes no arguments")
        return _healthcheck(request, None, {}, None)
    flags = Flags(request, _HEALTH_FLAGS)
    if kind.upper() != "CMD":
        span = request.line.span(request.args_start, request.args_start + len(kind))
        raise request.fail(f"Unknown type {quoted(kind.upper())} in HEALTHCHECK (try CMD)", None, span)
    test = command_of(request, rest)
    if not (test.args if isinstance(test, ExecForm) else test.text):
        raise request.fail("Missing command after HEALTHCHECK CMD")
    times = {name: _interval(request, flags.given(name)) for name in _HEALTH_FLAGS if name != "retries"}
    return _healthcheck(request, test, times, _retries(request, flags.given("retries")))


def _healthcheck(
    request: Request, test: Command | None, times: dict[str, int | None], retries: int | None
) -> Healthcheck:
    return Healthcheck(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        test=test,
        interval_ns=times.get("interval"),
        timeout_ns=times.get("timeout"),
        start_period_ns=times.get("start-period"),
        start_interval_ns=times.get("start-interval"),
        retries=retries,
    )


def _interval(request: Request, flag: Flag | None) -> int | None:
    if flag is None or not flag.value:
        return None
    try:
        duration = parse_duration(flag.value)
    except ValueError as error:
        request.fault(str(error), flag.span, "durations are written like 30s, 1m30s or 500ms")
        return None
    if duration and duration < MIN_INTERVAL_NS:
        request.fault(f'Interval "{flag.name}" cannot be less than 1ms', flag.span)
    return duration


def _retries(request: Request, flag: Flag | None) -> int | None:
    if flag is None or not flag.value:
        return None
    if not _INTEGER.match(flag.value) or not -(2**31) <= int(flag.value) < 2**31:
        request.fault(f"--retries must be a whole number, not {quoted(flag.value)}", flag.span)
        return None
    if int(flag.value) < 0:
        request.fault(f"--retries cannot be negative ({int(flag.value)})", flag.span)
    return int(flag.value)
