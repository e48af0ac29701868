"""Where a piece of text stands in its source, and how it is shown: file:line, the lines, carets under them."""

from __future__ import annotations

import msgspec


class Span(msgspec.Struct, frozen=True):
    """A stretch of source text. Lines count from 1, columns from 0; the end column is exclusive."""

    start_line: int
    start_col: int
    end_line: int
    end_col: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.start_line, self.start_col, other.end_line, other.end_col)


class Source(msgspec.Struct, frozen=True):
    """A text with the name that people know it by (a path as the user gave it, or `-`)."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """The text of line `number` (from 1) without its line end; empty beyond the end. A line feed alone ends one."""
        lines = self.text.split("\n")
        return lines[number - 1].removesuffix("\r") if 0 < number <= len(lines) else ""


MAX_SHOWN_LINES = 4


def place(source: Source, span: Span) -> str:
    """`NAME:LINE`, the form in which every message names a place."""
    return f"{source.name}:{span.start_line}"


def excerpt(source: Source, span: Span) -> str:
    """The source lines of `span` behind their numbers, with carets under the spanned text."""
    last = min(span.end_line, span.start_line + MAX_SHOWN_LINES - 1)
    width = len(str(last))
    rows: list[str] = []
    for number in range(span.start_line, last + 1):
        text = source.line(number)
        start = span.start_col if number == span.start_line else len(text) - len(text.lstrip())
        end = span.end_col if number == span.end_line else len(text)
        rows.append(f" {number:>{width}} | {text.expandtabs(1)}")
        rows.append(f" {'':>{width}} | {' ' * start}{'^' * max(1, end - start)}")
    if last < span.end_line:
        rows.append(f" {'':>{width}} | …")
    return "\n".join(row.rstrip() for row in rows)
