"""Where a piece of text stands in its source, and how it is shown: file:line, the lines, carets under them."""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import msgspec


class Span(msgspec.Struct, frozen=True):
    """A stretch of source text. Lines count from 1, columns from 0; the end column is exclusive."""

    start_line: int
    start_col: int
    end_line: int
    end_col: int

    def to(self, other: "Span") -> "Span":
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
MAX_SHOWN_COLUMNS = 160


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
        shown, carets = _window(text, start, end)
        rows.append(f" {number:>{width}} | {shown}")
        rows.append(f" {'':>{width}} | {carets}")
    if last < span.end_line:
        rows.append(f" {'':>{width}} | …")
    return "\n".join(row.rstrip() for row in rows)


def _window(text: str, start: int, end: int) -> tuple[str, str]:
    """What is shown of a line, and the carets under it. A long line is cut around its span, and every character takes
    one column: a tab is a blank, what cannot be printed (or would speak to the terminal) is a replacement character.
    """
    first = max(0, start - MAX_SHOWN_COLUMNS // 2) if len(text) > MAX_SHOWN_COLUMNS else 0
    cut = text[first : first + MAX_SHOWN_COLUMNS]
    shown = "".join(char if char.isprintable() else " " if char == "\t" else "\ufffd" for char in cut)
    before, after = "…" if first else "", "…" if first + len(cut) < len(text) else ""
    count = max(1, min(end - first, len(cut)) - (start - first))
    return f"{before}{shown}{after}", " " * (len(before) + start - first) + "^" * count
