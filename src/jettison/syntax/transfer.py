"""COPY and ADD. Reference §1.6, §1.7."""

from __future__ import annotations

import msgspec

from jettison.syntax.commands import json_args
from jettison.syntax.flags import BOOL, STRING, STRINGS, Flags, Table
from jettison.syntax.jsonform import ITEM
from jettison.syntax.nodes import Add, Copy, Heredoc, Word
from jettison.syntax.request import Request

_COPY_FLAGS: Table = {
    "from": STRING,
    "chown": STRING,
    "chmod": STRING,
    "link": BOOL,
    "parents": BOOL,
    "exclude": STRINGS,
}
_ADD_FLAGS: Table = {
    "chown": STRING,
    "chmod": STRING,
    "link": BOOL,
    "exclude": STRINGS,
    "keep-git-dir": BOOL,
    "checksum": STRING,
    "unpack": BOOL,
}


class Operands(msgspec.Struct, frozen=True):
    """What is copied, and to where."""

    sources: tuple[Word, ...]
    heredocs: tuple[Heredoc, ...]
    dest: Word
    exec_form: bool


def parse_copy(request: Request) -> Copy:
    flags = Flags(request, _COPY_FLAGS)
    operands = _operands(request)
    return Copy(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        sources=operands.sources,
        heredocs=operands.heredocs,
        dest=operands.dest,
        exec_form=operands.exec_form,
        chown=flags.word("chown"),
        chmod=flags.word("chmod"),
        link=bool(flags.truth("link")),
        excludes=tuple(flag.value or "" for flag in flags.all("exclude")),
        from_=flags.word("from"),
        parents=bool(flags.truth("parents")),
    )


def parse_add(request: Request) -> Add:
    flags = Flags(request, _ADD_FLAGS)
    operands = _operands(request)
    return Add(
        span=request.span,
        keyword=request.keyword,
        original=request.original,
        comments=request.line.comments,
        sources=operands.sources,
        heredocs=operands.heredocs,
        dest=operands.dest,
        exec_form=operands.exec_form,
        chown=flags.word("chown"),
        chmod=flags.word("chmod"),
        link=bool(flags.truth("link")),
        excludes=tuple(flag.value or "" for flag in flags.all("exclude")),
        keep_git_dir=flags.truth("keep-git-dir"),
        checksum=flags.word("checksum"),
        unpack=flags.truth("unpack"),
    )


def json_words(request: Request) -> list[Word] | None:
    """The items of a JSON form as words with their places, or None for the other form."""
    args = json_args(request, request.args)
    if args is None:
        return None
    found = ITEM.finditer(request.line.text, request.args_start, request.end)
    spans = [request.line.span(item.start(), item.end()) for item in found]
    return [Word(text, span) for text, span in zip(args, spans, strict=True)]


def _operands(request: Request) -> Operands:
    words = json_words(request)
    exec_form = words is not None
    if words is None:
        words = _without_heredocs(request) if request.heredocs else request.blank_words()
    heredocs = tuple(placed.node for placed in request.heredocs)
    if len(words) + len(heredocs) < 2:
        message = f"{request.name} requires at least two arguments, but only one was provided. "
        message += "Destination could not be determined"
        raise request.fail(message, f"write {request.name} SOURCE… DESTINATION")
    if request.heredocs and request.heredocs[-1].end == request.end:
        mark = request.heredocs[-1]
        raise request.fail(f"{request.name} cannot accept a heredoc as a destination", None, mark.node.span)
    return Operands(tuple(words[:-1]), heredocs, words[-1], exec_form)


def _without_heredocs(request: Request) -> list[Word]:
    """The words that are no part of a heredoc's mark, which may hold blanks (`<< EOF`, `<<"A B"`)."""
    return [
        request.word(start, end)
        for start, end in request.pieces()
        if not any(placed.start <= start and end <= placed.end for placed in request.heredocs)
    ]
