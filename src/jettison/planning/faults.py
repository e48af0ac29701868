"""What is wrong with a Dockerfile's meaning, gathered so that one run tells of all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jettison.base.errors import Diagnostic, DockerfileError
from jettison.base.span import Source, Span
from jettison.syntax.nodes import Word
from jettison.syntax.suggest import closest
from jettison.syntax.words import ExpansionError, Scope, expand, expand_heredoc, expand_list


class FaultError(Exception):
    """One thing that is wrong, on its way to `Faults`. Never leaves the planning floor."""

    def __init__(self, message: str, span: Span, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint


class Faults:
    """The faults found so far in one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: list[Diagnostic] = []

    def add(self, fault: FaultError, span: Span | None = None) -> None:
        """Keep one fault; `span` replaces its own where that is of another text (a trigger that an image brought)."""
        found = Diagnostic(fault.message, span or fault.span, fault.hint)
        if found not in self._found:
            self._found.append(found)

    def settle(self) -> None:
        """Raise DockerfileError with all that was found, in order of place; do nothing when there is none."""
        if self._found:
            ordered = sorted(self._found, key=lambda fault: (fault.span.start_line, fault.span.start_col))
            raise DockerfileError(self._source, tuple(ordered))


def meant(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the nearest known word, or nothing."""
    near = closest(word, [name for name in known if name])
    return f" (did you mean {near}?)" if near else ""


class Words:
    """Expands words of one instruction: the scope it sees, and whom to tell of names that are unset."""

    def __init__(self, scope: Scope, escape: str, span: Span, unset: Callable[[str, Span], None] | None = None) -> None:
        self.scope = scope
        self._escape = escape
        self._span = span
        self._unset = unset

    def one(self, text: str, span: Span | None = None) -> str:
        """`text` expanded to one word. Raises FaultError at `span`."""
        place = span or self._span
        try:
            return expand(text, self.scope, self._escape, on_unset=self._teller(place))
        except ExpansionError as error:
            raise FaultError(str(error), place) from None

    def many(self, text: str, span: Span | None = None) -> list[str]:
        """`text` expanded, then split at blanks. Raises FaultError at `span`."""
        place = span or self._span
        try:
            return expand_list(text, self.scope, self._escape, on_unset=self._teller(place))
        except ExpansionError as error:
            raise FaultError(str(error), place) from None

    def body(self, text: str, span: Span) -> str:
        """A heredoc's body expanded: always with backslash as the escape. Raises FaultError at `span`."""
        try:
            return expand_heredoc(text, self.scope, on_unset=self._teller(span))
        except ExpansionError as error:
            raise FaultError(str(error), span) from None

    def word(self, word: Word | None) -> str:
        """A node's word expanded; "" for None. Raises FaultError at the word."""
        return self.one(word.text, word.span) if word is not None else ""

    def _teller(self, place: Span) -> Callable[[str], None] | None:
        tell = self._unset
        return None if tell is None else lambda name: tell(name, place)
