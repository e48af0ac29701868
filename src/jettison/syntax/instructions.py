"""Every instruction's parse function, in one table; here the plain ones, and ONBUILD, which holds another."""

from __future__ import annotations

from collections.abc import Callable

from jettison.syntax.blanks import SPACES
from jettison.syntax.commands import parse_cmd, parse_entrypoint, parse_healthcheck, parse_run, parse_shell
from jettison.syntax.flags import STRING, Flags
from jettison.syntax.nodes import (
    Arg,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Stopsignal,
    User,
    Volume,
    Word,
    Workdir,
)
from jettison.syntax.pairs import arg_names, pairs_of
from jettison.syntax.quoting import quoted
from jettison.syntax.regex import lazy
from jettison.syntax.request import FaultError, Request
from jettison.syntax.suggest import did_you_mean
from jettison.syntax.transfer import json_words, parse_add, parse_copy

_STAGE_NAME = lazy(r"[a-z][a-z0-9\-_.]*\Z")


def parse_from(request: Request) -> From:
    flags = Flags(request, {"platform": STRING})
    words = request.blank_words()
    if len(words) not in {1, 3} or (len(words) == 3 and words[1].text.lower() != "as"):
        span = words[0].span.to(words[-1].span) if words else None
        raise request.fail(
            "FROM requires either one or three arguments", "write FROM image, or FROM image AS name", span
        )
    name = words[2] if len(words) == 3 else None
    if name is not None and not _STAGE_NAME.match(name.text.lower()):
        message = f"invalid name for build stage: {quoted(name.text)}, "
        raise request.fail(message + "name can't start with a number or contain symbols", None, name.span)
    return From(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        base=words[0],
        platform=flags.word("platform"),
        name=name,
        as_keyword=words[1].text if name is not None else None,
    )


def parse_env(request: Request) -> Env:
    Flags(request, {})
    return Env(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        pairs=pairs_of(request),
    )


def parse_label(request: Request) -> Label:
    Flags(request, {})
    return Label(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        pairs=pairs_of(request),
    )


def parse_arg(request: Request) -> Arg:
    """Flags are dropped unseen, as the reference builder does here and with STOPSIGNAL."""
    return Arg(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        names=arg_names(request),
    )


def _only_argument(request: Request) -> Word:
    """The rest of the line, which is one argument whatever blanks it holds."""
    Flags(request, {})
    if not request.args:
        raise request.fail(f"{request.name} requires exactly one argument")
    return request.whole()


def parse_workdir(request: Request) -> Workdir:
    path = _only_argument(request)
    return Workdir(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        path=path,
    )


def parse_user(request: Request) -> User:
    user = _only_argument(request)
    return User(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        user=user,
    )


def parse_stopsignal(request: Request) -> Stopsignal:
    if not request.args:
        raise request.fail("STOPSIGNAL requires exactly one argument")
    return Stopsignal(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        signal=request.whole(),
    )


def parse_maintainer(request: Request) -> Maintainer:
    name = _only_argument(request)
    return Maintainer(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        name=name.text,
    )


def parse_expose(request: Request) -> Expose:
    Flags(request, {})
    ports = sorted(request.blank_words(), key=lambda word: word.text)  # so they stand in the history
    if not ports:
        raise request.fail("EXPOSE requires at least one argument", "write EXPOSE 8080, or EXPOSE 53/udp")
    return Expose(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        ports=tuple(ports),
    )


def parse_volume(request: Request) -> Volume:
    Flags(request, {})
    items = json_words(request)
    paths = request.blank_words() if items is None else items
    if not paths:
        raise request.fail("VOLUME requires at least one argument", "write VOLUME /data")
    for path in paths:
        if not path.text.strip(SPACES):
            raise request.fail("VOLUME specified can not be an empty string", None, path.span)
    return Volume(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        paths=tuple(Word(path.text.strip(SPACES), path.span) for path in paths),
        exec_form=items is not None,
    )


def parse_onbuild(request: Request) -> Onbuild:
    Flags(request, {})
    if not request.args:
        raise request.fail("ONBUILD requires at least one argument", "write ONBUILD and an instruction")
    inner = Request(request.line, request.args_start, request.escape, request.faults)
    inner.heredocs = request.heredocs
    check_trigger(inner)
    text = inner.original + "".join(f"\n{placed.written}{placed.node.name}" for placed in request.heredocs)
    return Onbuild(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        trigger=parse_request(inner),
        text=text,
    )


def check_trigger(request: Request) -> None:
    """Raises for what ONBUILD may not hold."""
    if request.name == "ONBUILD":
        raise request.fail("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", None, request.keyword_span())
    if request.name in {"FROM", "MAINTAINER"}:
        message = f"{request.name} isn't allowed as an ONBUILD trigger"
        raise request.fail(message, None, request.keyword_span())


PARSERS: dict[str, Callable[[Request], Instruction]] = {
    "ADD": parse_add,
    "ARG": parse_arg,
    "CMD": parse_cmd,
    "COPY": parse_copy,
    "ENTRYPOINT": parse_entrypoint,
    "ENV": parse_env,
    "EXPOSE": parse_expose,
    "FROM": parse_from,
    "HEALTHCHECK": parse_healthcheck,
    "LABEL": parse_label,
    "MAINTAINER": parse_maintainer,
    "ONBUILD": parse_onbuild,
    "RUN": parse_run,
    "SHELL": parse_shell,
    "STOPSIGNAL": parse_stopsignal,
    "USER": parse_user,
    "VOLUME": parse_volume,
    "WORKDIR": parse_workdir,
}


def parse_request(request: Request) -> Instruction:
    """The instruction. Raises FaultError; what is wrong beside that is in the request's faults."""
    parse = PARSERS.get(request.name)
    if parse is None:
        raise unknown(request)
    return parse(request)


def unknown(request: Request) -> FaultError:
    """The error for a keyword that is none."""
    hint = did_you_mean(request.keyword, PARSERS)
    if hint is None and not request.keyword.isascii():
        hint = "a blank in it is not an ordinary one"
    return request.fail(f"unknown instruction: {request.keyword}", hint, request.keyword_span())
