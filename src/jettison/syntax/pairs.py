"""The words of ENV, LABEL and ARG: quotes and escapes protect blanks, and stay in the word. Reference §1.3."""

from __future__ import annotations

import re

from jettison.syntax.blanks import SPACE_CLASS
from jettison.syntax.nodes import ArgName, Pair, Word
from jettison.syntax.quoting import quoted
from jettison.syntax.regex import lazy
from jettison.syntax.request import Request

_TOKEN = {
    escape: lazy(
        rf"(?:[^{SPACE_CLASS}'\"{re.escape(escape)}]++|{re.escape(escape)}.|'[^']*+'?"
        rf"|\"(?:[^\"{re.escape(escape)}]++|{re.escape(escape)}.)*+\"?|{re.escape(escape)}\Z)++",
        re.DOTALL,
    )
    for escape in "\\`"
}


def tokens(request: Request) -> list[tuple[int, int]]:
    """The offsets of the words. An escape that ends the line is no part of the last one."""
    text, escape = request.line.text, request.escape
    found = [(m.start(), m.end()) for m in _TOKEN[escape].finditer(text, request.args_start, request.end)]
    if found and _ends_in_escape(text, *found[-1], escape):
        start, end = found.pop()
        if end - 1 > start:
            found.append((start, end - 1))
    return found


def _ends_in_escape(text: str, start: int, end: int, escape: str) -> bool:
    """Whether the last escape of the word escapes nothing: an odd number of them, outside single quotes."""
    word = text[start:end]
    run = len(word) - len(word.rstrip(escape))
    return run % 2 == 1 and word[: len(word) - run].count("'") % 2 == 0


def pairs_of(request: Request) -> tuple[Pair, ...]:
    """`key=value …`, or the old `KEY rest of line` when the first word has no `=`."""
    name = request.name
    found = tokens(request)
    if not found:
        raise request.fail(f"{name} requires at least one argument", f"write {name} key=value")
    text = request.line.text
    if "=" not in text[found[0][0] : found[0][1]]:
        return (_legacy(request),)
    pairs: list[Pair] = []
    for start, end in found:
        equals = text.find("=", start, end)
        if equals < 0:
            word = quoted(text[start:end])
            message = f"Syntax error - can't find = in {word}. Must be of the form: name=value"
            raise request.fail(message, "put quotes around a value that holds blanks", request.line.span(start, end))
        if equals == start:
            raise request.fail(f"{name} names can not be blank", None, request.line.span(start, end))
        pairs.append(Pair(request.word(start, equals), request.word(equals + 1, end)))
    return tuple(pairs)


def _legacy(request: Request) -> Pair:
    blank = request.first_blank()
    if blank is None:
        raise request.fail(f"{request.name} must have two arguments", f"write {request.name} {request.args}=value")
    start, end = blank
    return Pair(request.word(request.args_start, start), request.word(end, request.end), legacy=True)


def arg_names(request: Request) -> tuple[ArgName, ...]:
    """`NAME` or `NAME=default`, several to a line, each described by a comment `# NAME text` above."""
    found = tokens(request)
    if not found:
        raise request.fail("ARG requires at least one argument", "write ARG name, or ARG name=default")
    text = request.line.text
    names: list[ArgName] = []
    for start, end in found:
        equals = text.find("=", start, end)
        span = request.line.span(start, end)
        if equals == start:
            raise request.fail("ARG names can not be blank", None, span)
        name = text[start : equals if equals >= 0 else end]
        default: Word | None = request.word(equals + 1, end) if equals >= 0 else None
        names.append(ArgName(name, default, span, described(request.line.comments, name)))
    return tuple(names)


def described(comments: tuple[str, ...], name: str) -> str | None:
    """The description that a comment `# NAME text` gives to an argument or a stage, or None."""
    prefix = name + " "
    return next((comment[len(prefix) :] for comment in comments if name and comment.startswith(prefix)), None)
