"""Physical lines to logical ones: comments dropped, continuations joined, heredoc bodies read. Reference §1.1, §1.2."""

from __future__ import annotations

from bisect import bisect_right

from jettison.base.errors import Diagnostic
from jettison.base.span import Span
from jettison.syntax.blanks import SPACES

MAX_LINE_BYTES = 65535  # the reference builder's scanner takes no longer ones

_BOM = "\ufeff"


class LogicalLine:
    """One instruction's text, and where each stretch of it stands.

    `pieces` holds, for every physical line that gave text: the offset in `text` where it begins, its number and column.
    """

    __slots__ = ("_offsets", "comments", "last_line", "pieces", "text")

    def __init__(
        self, text: str, pieces: list[tuple[int, int, int]], comments: tuple[str, ...], last_line: int
    ) -> None:
        self.text = text
        self.pieces = pieces
        self.comments = comments
        self.last_line = last_line  # the last physical line that belongs to the instruction
        self._offsets = [piece[0] for piece in pieces] if len(pieces) > 1 else None

    def span(self, start: int, end: int) -> Span:
        """The span of `text[start:end]`."""
        if self._offsets is None:
            _, line, column = self.pieces[0]
            return Span(line, column + start, line, column + end)
        start_line, start_column = self._place(start)
        end_line, end_column = self._place(max(end - 1, start))
        return Span(start_line, start_column, end_line, end_column + (1 if end > start else 0))

    def _place(self, offset: int) -> tuple[int, int]:
        piece = self.pieces[bisect_right(self._offsets or (), offset) - 1]
        return piece[1], piece[2] + offset - piece[0]


class Lines:
    """The physical lines of a text, read once from the top.

    What is wrong with a line itself (too long) is added to `faults`; empty lines inside continuations, which the
    builder takes and lint does not, to `empty_continuations`.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        if self.lines[-1] == "":
            self.lines.pop()
        self.number = 0  # of the line read last, from 1
        self.escape = "\\"
        self.faults: list[Diagnostic] = []
        self.empty_continuations: list[Span] = []
        self.seen_text = False  # whether an instruction has been met
        self._bom = len(_BOM) if text.startswith(_BOM) else 0
        if self._bom:
            self.lines[0] = self.lines[0][self._bom :]
        self._check_lengths()

    def _check_lengths(self) -> None:
        for number, line in enumerate(self.lines, 1):
            if len(line) > MAX_LINE_BYTES // 4 and _byte_length(line) > MAX_LINE_BYTES:
                message = f"dockerfile line greater than max allowed size of {MAX_LINE_BYTES}"
                hint = "split it with the escape character at the end of a line"
                self.faults.append(Diagnostic(message, Span(number, 0, number, 1), hint))

    def column(self, number: int, column: int) -> int:
        """A column of line `number` as an editor counts it: a byte order mark takes one."""
        return column + self._bom if number == 1 else column

    def next_instruction(self) -> LogicalLine | None:
        """The next instruction's logical line with the comments directly above it, or None at the end."""
        comments: list[str] = []
        lines = self.lines
        while self.number < len(lines):
            line = lines[self.number]
            self.number += 1
            text = line.lstrip(SPACES)
            if not text:
                comments.clear()
            elif text[0] == "#":
                comments.append(text[1:].strip(SPACES))
            else:
                self.seen_text = True
                column = self.column(self.number, len(line) - len(text))
                return self._joined(text.rstrip("\r"), column, tuple(comments))
        return None

    def _joined(self, text: str, column: int, comments: tuple[str, ...]) -> LogicalLine:
        pieces = [(0, self.number, column)]
        text, goes_on = self._continued(text)
        if not goes_on:
            return LogicalLine(text, pieces, comments, self.number)
        parts = [text]
        length = len(text)
        while goes_on and self.number < len(self.lines):
            line = self.lines[self.number].rstrip("\r")
            self.number += 1
            text = line.lstrip(SPACES)
            if text[:1] == "#":
                continue
            if not text:
                self.empty_continuations.append(Span(self.number, 0, self.number, 0))
                continue
            line, goes_on = self._continued(line)
            if line:
                pieces.append((length, self.number, 0))
                parts.append(line)
                length += len(line)
        return LogicalLine("".join(parts), pieces, comments, self.number)

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without its continuation, and whether it had one: an escape at the end that none precedes."""
        stripped = line.rstrip(" \t")
        if stripped.endswith(self.escape) and stripped[-2:-1] != self.escape:
            return stripped[:-1], True
        return line, False

    def heredoc_body(self, name: str, *, chomp: bool) -> str | None:
        """The lines up to the one that is `name` alone (behind tabs, with `chomp`); None when there is none.

        Without a terminator everything up to the end is consumed.
        """
        start = self.number
        for number in range(start, len(self.lines)):
            line = self.lines[number].rstrip("\r")
            if (line.lstrip("\t") if chomp else line) == name:
                self.number = number + 1
                return "".join([text + "\n" for text in self.lines[start:number]])
        self.number = len(self.lines)
        return None


def _byte_length(line: str) -> int:
    """The length in the file that the line was read from, with bytes that are no UTF-8 read as surrogates."""
    try:
        return len(line.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return len(line.encode("utf-8", "surrogatepass"))
