"""Heredocs: `[fd]<<[-]WORD` in RUN, COPY and ADD, and in ONBUILD of those. Reference §1.2."""

from __future__ import annotations

import re

import msgspec

from jettison.base.errors import Diagnostic
from jettison.syntax.blanks import SPACE_CLASS
from jettison.syntax.lines import Lines, LogicalLine
from jettison.syntax.nodes import Heredoc
from jettison.syntax.regex import lazy
from jettison.syntax.words import Expander, ExpansionError, split_parts

INSTRUCTIONS = frozenset({"RUN", "COPY", "ADD"})

# Whatever the escape directive says, a heredoc's line is read with backslash, as the shell will read it.
_TOKEN = lazy(
    rf"(?:[^{SPACE_CLASS}'\"\\]++|\\.|\\\Z|'[^']*+'|\"(?:[^\"\\]++|\\.)*+\"|['\"])++",
    re.DOTALL,
)
_MARK = lazy(r"([0-9]*)<<(-?)([^<]*)\Z", re.DOTALL)
_BLANK_BEHIND = lazy(rf"[0-9]*<<[{SPACE_CLASS}]")
_TABS = lazy(r"^\t+", re.MULTILINE)


class Placed(msgspec.Struct, frozen=True):
    """A heredoc, where its mark stands in the logical line, and its body as written (tabs not stripped)."""

    node: Heredoc
    start: int
    end: int
    written: str


class Mark(msgspec.Struct, frozen=True):
    """`<<WORD` taken apart; offsets are in the text that it was found in."""

    name: str
    expand: bool
    chomp: bool
    fd: int
    start: int
    end: int


def lone_mark(text: str) -> Mark | None:
    """The heredoc mark that `text` is and nothing else (then the body is the script of a RUN), or None."""
    found = _MARK.match(text)
    return _mark_of(found, 0, len(text)) if found else None


def marks_of(text: str) -> list[Mark]:
    """The heredoc marks of a logical line. A line whose quotes or `${}` make no sense has none."""
    if "<<" not in text:
        return []
    try:
        Expander(text, _unset, "\\", keep_unset=True).all()
    except ExpansionError:
        return []
    marks: list[Mark] = []
    tokens = _TOKEN.finditer(text)
    for token in tokens:
        found = _MARK.match(token[0])
        end = token.end()
        if found and not found[2] and not found[3]:  # `<< WORD`: the word is the next one
            following = next(tokens, None)
            if following is None or "<" in following[0]:
                continue
            end = following.end()
            found = _MARK.match(f"{token[0]} {following[0]}")
        mark = _mark_of(found, token.start(), end) if found else None
        if mark:
            marks.append(mark)
    return marks


def read_bodies(line: LogicalLine, lines: Lines) -> tuple[Placed, ...]:
    """The heredocs of an instruction, their bodies consumed from `lines`. One without its end is a fault."""
    placed: list[Placed] = []
    for mark in marks_of(line.text):
        span = line.span(mark.start, mark.end)
        body = lines.heredoc_body(mark.name, chomp=mark.chomp)
        if body is None:
            hint = f"it ends at a line that holds {mark.name} and nothing else; the file ended before one"
            if _BLANK_BEHIND.match(line.text, mark.start):
                hint += "; for arithmetic, write << without a blank behind it"
            lines.faults.append(Diagnostic("unterminated heredoc", span, hint))
            body = ""
        stripped = _TABS.sub("", body) if mark.chomp else body
        node = Heredoc(mark.name, stripped, mark.expand, mark.chomp, mark.fd, span)
        placed.append(Placed(node, mark.start, mark.end, body))
    line.last_line = lines.number
    return tuple(placed)


def _unset(_name: str) -> None:
    return None


def _mark_of(found: re.Match[str], start: int, end: int) -> Mark | None:
    rest = found[3]
    try:
        words = split_parts(Expander(rest, _unset, "\\", keep_unset=True).all())
    except ExpansionError:
        return None
    if len(words) != 1:
        return None
    quoted = any(char in rest for char in "'\"\\")
    fd = int(found[1]) if found[1] and len(found[1]) < 10 else 0
    return Mark(words[0], not quoted, found[2] == "-", fd, start, end)
