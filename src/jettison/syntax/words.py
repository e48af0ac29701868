"""Quotes, escapes and variables of a word: what reference §1.3 says, and nothing that it does not.

A scope answers a name with its value, or None when it is unset. Unset is the empty text and no error; who wants to
know of it passes `on_unset`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from jettison.syntax import patterns
from jettison.syntax.blanks import SPACE
from jettison.syntax.quoting import quoted
from jettison.syntax.regex import lazy

Scope = Callable[[str], "str | None"]

MAX_DEPTH = 100  # of ${x:-${y:-…}}: deeper is an attack, and would exhaust Python's stack

_PLAIN = {escape: lazy(rf"[^$'\"{re.escape(escape)}]+") for escape in "\\`"}
_IN_QUOTES = {escape: lazy(rf"[^$\"{re.escape(escape)}]+") for escape in "\\`"}
_SPECIAL = {escape: lazy(rf"[$'\"{re.escape(escape)}]") for escape in "\\`"}
_NAME = lazy(r"[0-9]+|[@*#?\-$!]|[^\W\d]\w*")
_BLANKS = lazy(f"{SPACE}+")


class ExpansionError(ValueError):
    """A word cannot be expanded: bad substitution, a quote that is never closed, or `${x:?}` of what is unset."""


def expand(text: str, scope: Scope, escape: str = "\\", *, on_unset: Callable[[str], None] | None = None) -> str:
    """`text` with variables replaced, and quotes and escapes removed. Blanks stay as they are.

    `on_unset` is called with each name that was unset where its value was wanted (not for `-`, `+` and `?`).
    """
    if not _SPECIAL[escape].search(text):
        return text
    return _joined(Expander(text, scope, escape, on_unset=on_unset).all())


def expand_list(
    text: str, scope: Scope, escape: str = "\\", *, on_unset: Callable[[str], None] | None = None
) -> list[str]:
    """`text` expanded and then split at blanks that no quote protects. Empty words vanish."""
    return split_parts(Expander(text, scope, escape, on_unset=on_unset).all())


def expand_heredoc(
    text: str, scope: Scope, escape: str = "\\", *, on_unset: Callable[[str], None] | None = None
) -> str:
    """The body of a heredoc with variables replaced: quotes are ordinary, an escape makes the next character literal.

    The reference builder escapes by a backslash here, whatever the escape directive says: leave `escape` out.
    """
    return _joined(Expander(text, scope, escape, on_unset=on_unset, quotes=False).all())


Part = tuple[str, bool]  # a text, and whether blanks in it separate words


def _joined(parts: list[Part]) -> str:
    return "".join([part for part, _ in parts])


def split_parts(parts: list[Part]) -> list[str]:
    """The words of expanded parts: only unquoted text separates."""
    words: list[str] = []
    word = ""
    for text, splits in parts:
        if not splits:
            word += text
            continue
        first, *others = _BLANKS.split(text)
        word += first
        for other in others:
            if word:
                words.append(word)
            word = other
    if word:
        words.append(word)
    return words


class Expander:
    """One pass over one text. `quotes` False makes quotes ordinary; `keep_unset` leaves unset variables as written."""

    def __init__(
        self,
        text: str,
        scope: Scope,
        escape: str,
        *,
        on_unset: Callable[[str], None] | None = None,
        quotes: bool = True,
        keep_unset: bool = False,
    ) -> None:
        self._text = text
        self._scope = scope
        self._escape = escape
        self._on_unset = on_unset
        self._quotes = quotes
        self._keep_unset = keep_unset
        self._position = 0
        self._depth = 0

    def all(self) -> list[Part]:
        """The whole text, expanded. Raises ExpansionError."""
        try:
            return self._until("", keep_escapes=False)
        except ExpansionError as error:
            raise ExpansionError(f"failed to process {quoted(self._text)}: {error}") from None

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _next(self) -> str:
        char = self._peek()
        self._position += len(char)
        return char

    def _until(self, stop: str, *, keep_escapes: bool) -> list[Part]:
        """What stands before the next unquoted `stop`, which is consumed; "" is the end of the text."""
        parts: list[Part] = []
        while char := self._next():
            if char == stop:
                return parts
            if char == "$":
                parts.append((self._dollar(), True))
            elif char == self._escape:
                self._add_escaped(parts, keep_escapes=keep_escapes)
            elif char == "'" and self._quotes:
                parts.append((self._single_quoted(), False))
            elif char == '"' and self._quotes:
                parts.append((self._double_quoted(keep_escapes=keep_escapes), False))
            else:
                parts.append((self._plain(char, stop), True))
        if stop:
            raise ExpansionError(f"unexpected end of statement while looking for matching {stop}")
        return parts

    def _plain(self, char: str, stop: str) -> str:
        """`char` and the ordinary characters behind it."""
        found = _PLAIN[self._escape].match(self._text, self._position)
        if found is None:
            return char
        end = found.end()
        if stop:
            at = self._text.find(stop, self._position, end)
            end = at if at >= 0 else end
        run = self._text[self._position : end]
        self._position = end
        return char + run

    def _add_escaped(self, parts: list[Part], *, keep_escapes: bool) -> None:
        char = self._next()  # an escape at the very end vanishes
        if keep_escapes:
            char = self._escape + char
        if char:
            parts.append((char, False))

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position)
        if end < 0:
            raise ExpansionError("unexpected end of statement while looking for matching single-quote")
        inside = self._text[self._position : end]
        self._position = end + 1
        return inside

    def _double_quoted(self, *, keep_escapes: bool) -> str:
        parts: list[str] = []
        while char := self._next():
            if char == '"':
                return "".join(parts)
            if char == "$":
                parts.append(self._dollar())
            elif char == self._escape:
                parts.append(self._escaped_in_quotes(keep_escapes=keep_escapes))
            else:
                found = _IN_QUOTES[self._escape].match(self._text, self._position)
                parts.append(char + found[0] if found else char)
                self._position = found.end() if found else self._position
        raise ExpansionError("unexpected end of statement while looking for matching double-quote")

    def _escaped_in_quotes(self, *, keep_escapes: bool) -> str:
        """Inside double quotes only `"`, `$` and the escape itself are escaped; before others it stays."""
        following = self._peek()
        if following and following in f'"${self._escape}':
            self._position += 1
            return self._escape + following if keep_escapes else following
        return self._escape

    def _dollar(self) -> str:
        """What stands for the variable behind a `$` that was just consumed; a `$` before no name is itself."""
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._scope(name)
            if value is None and self._keep_unset:
                return "$" + name
            return self._wanted(name, value)
        self._position += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpansionError("substitutions are nested too deeply")
        result = self._braced()
        self._depth -= 1
        return result

    def _name(self) -> str:
        found = _NAME.match(self._text, self._position)
        if found is None:
            return ""
        self._position = found.end()
        return found[0]

    def _wanted(self, name: str, value: str | None) -> str:
        if value is not None:
            return value
        if self._on_unset is not None:
            self._on_unset(name)
        return ""

    def _braced(self) -> str:
        following = self._peek()
        if not following:
            raise ExpansionError("syntax error: missing '}'")
        if following in "{}:":
            raise ExpansionError("syntax error: bad substitution")
        name = self._name()
        modifier = self._next()
        if not modifier:
            raise ExpansionError("syntax error: missing '}'")
        if modifier == "}":
            value = self._scope(name)
            return f"${{{name}}}" if value is None and self._keep_unset else self._wanted(name, value)
        if modifier == "/":
            return self._replaced(name)
        if modifier == ":":
            modifier += self._next()
        if modifier in {"#", "%"}:
            return self._trimmed(name, modifier)
        if modifier in {"-", "+", "?", ":-", ":+", ":?"}:
            return self._chosen(name, modifier)
        raise ExpansionError(f"unsupported modifier ({modifier}) in substitution")

    def _operand(self, stop: str, missing: str, *, keep_escapes: bool) -> str:
        try:
            return _joined(self._until(stop, keep_escapes=keep_escapes))
        except ExpansionError:
            if self._position >= len(self._text):
                raise ExpansionError(f"syntax error: missing {missing}") from None
            raise

    def _chosen(self, name: str, modifier: str) -> str:
        word = self._operand("}", "'}'", keep_escapes=False)
        value = self._scope(name)
        if value is None and self._keep_unset:
            return f"${{{name}{modifier}{word}}}"
        missing = value is None or (value == "" and modifier[0] == ":")
        kind = modifier[-1]
        if kind == "-":
            return word if missing else value or ""
        if kind == "+":
            return "" if missing else word
        if missing:
            reason = word or f"is not allowed to be {'unset' if value is None else 'empty'}"
            raise ExpansionError(f"{name}: {reason}")
        return value or ""

    def _trimmed(self, name: str, modifier: str) -> str:
        pattern = self._operand("}", "'}'", keep_escapes=True)
        value = self._scope(name)
        if value is None and self._keep_unset:
            return f"${{{name}{modifier}{pattern}}}"
        longest = pattern.startswith(modifier)
        trim = patterns.trim_suffix if modifier == "%" else patterns.trim_prefix
        try:
            return trim(self._wanted(name, value), pattern[longest:], longest=longest)
        except patterns.PatternError as error:
            raise ExpansionError(f"invalid pattern ({pattern[longest:]}) in substitution: {error}") from None

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        self._position += every
        pattern = self._operand("/", "'/' in ${}", keep_escapes=True)
        replacement = self._operand("}", "'}'", keep_escapes=True)
        value = self._scope(name)
        if value is None and self._keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        # The escape that kept a `}` or `/` from ending the operand is no part of the text.
        text = re.sub(r"\\([}/])", r"\1", replacement)
        try:
            return patterns.replace(self._wanted(name, value), pattern, text, every=every)
        except patterns.PatternError as error:
            raise ExpansionError(f"invalid pattern ({pattern}) in substitution: {error}") from None
