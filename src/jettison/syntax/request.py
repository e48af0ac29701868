"""What a parse function is given: one instruction taken apart as far as all instructions are alike."""

from __future__ import annotations

from collections.abc import Iterator

from jettison.base.errors import Diagnostic
from jettison.base.span import Span
from jettison.syntax.blanks import BLANK_CLASS, SPACES
from jettison.syntax.heredoc import Placed
from jettison.syntax.lines import LogicalLine
from jettison.syntax.nodes import Word
from jettison.syntax.rawflags import RawFlag, split_flags
from jettison.syntax.regex import lazy

_KEYWORD = lazy(f"[^{BLANK_CLASS}]*")
_WORD = lazy(f"[^{BLANK_CLASS}]+")
_BLANK = lazy(f"[{BLANK_CLASS}]+")


class FaultError(Exception):
    """One instruction cannot be made sense of; caught where instructions are parsed, never seen outside."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Request:
    """The stretch of a logical line that one instruction takes. All offsets are into `line.text`."""

    __slots__ = (
        "args",
        "args_start",
        "end",
        "escape",
        "faults",
        "flags",
        "heredocs",
        "keyword",
        "line",
        "name",
        "start",
    )

    def __init__(self, line: LogicalLine, start: int, escape: str, faults: list[Diagnostic]) -> None:
        text = line.text
        self.line = line
        self.escape = escape
        self.faults = faults  # what does not keep the rest of the instruction from being looked at
        self.heredocs: tuple[Placed, ...] = ()
        self.end = len(text.rstrip(SPACES))
        found = _KEYWORD.match(text, start, self.end)
        keyword_end = found.end() if found else start
        self.start = start
        self.keyword = text[start:keyword_end]
        self.name = self.keyword.upper()
        self.flags: list[RawFlag] = []
        after = keyword_end
        if text.find("--", keyword_end, self.end) >= 0:
            self.flags, after = split_flags(text, keyword_end, self.end)
        args = text[after : self.end]
        self.args = args.lstrip(SPACES)
        self.args_start = self.end - len(self.args)

    @property
    def span(self) -> Span:
        """The whole instruction, heredoc bodies included."""
        own = self.line.span(self.start, max(self.end, self.start))
        last = self.line.last_line
        if last > own.end_line and self.heredocs:
            return Span(own.start_line, own.start_col, last, len(self.heredocs[-1].node.name))
        return own

    @property
    def original(self) -> str:
        """The instruction as one line."""
        return self.line.text[self.start : self.end]

    def fail(self, message: str, hint: str | None = None, span: Span | None = None) -> FaultError:
        """The error that ends this instruction; the place is the whole instruction's line, unless `span` is given."""
        return FaultError(Diagnostic(message, span or self.line.span(self.start, self.end), hint))

    def fault(self, message: str, span: Span, hint: str | None = None) -> None:
        """Notes what is wrong, and goes on."""
        self.faults.append(Diagnostic(message, span, hint))

    def keyword_span(self) -> Span:
        """Where the keyword stands."""
        return self.line.span(self.start, self.start + len(self.keyword))

    def word(self, start: int, end: int) -> Word:
        """The word between two offsets."""
        return Word(self.line.text[start:end], self.line.span(start, end))

    def whole(self) -> Word:
        """All arguments as one word."""
        return Word(self.args, self.line.span(self.args_start, self.end))

    def blank_words(self) -> list[Word]:
        """The arguments split at blanks alone: quotes protect nothing here."""
        text, line = self.line.text, self.line
        return [
            Word(found[0], line.span(found.start(), found.end()))
            for found in _WORD.finditer(text, self.args_start, self.end)
        ]

    def pieces(self) -> Iterator[tuple[int, int]]:
        """The offsets of what `blank_words` gives."""
        for found in _WORD.finditer(self.line.text, self.args_start, self.end):
            yield found.start(), found.end()

    def first_blank(self) -> tuple[int, int] | None:
        """The offsets of the first stretch of blanks in the arguments."""
        found = _BLANK.search(self.line.text, self.args_start, self.end)
        return (found.start(), found.end()) if found else None
