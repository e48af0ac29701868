"""Which paths of a context are hidden: `.dockerignore` and `--exclude`. Reference §1.10.

Patterns are anchored at the root, cover everything below what they match, and the last that matches decides. So the
verdict on a path is the greater of its parent's and its own, and each path is matched alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from jettison.base.errors import InputError, Location
from jettison.base.span import Source, Span
from jettison.syntax.blanks import SPACES
from jettison.syntax.cleanpath import clean
from jettison.syntax.ignore_pattern import NAME, NAME_WILD, PATH, PATH_WILD, Pattern, compile_pattern

_MAX_REMEMBERED = 20_000  # verdicts on directories kept at a time


class IgnoreRule(msgspec.Struct, frozen=True):
    """One pattern of an ignore file, cleaned (`!` kept), and the line that it stands in (from 1)."""

    pattern: str
    line: int


def parse_rules(text: str, name: str = ".dockerignore") -> tuple[IgnoreRule, ...]:
    """The patterns of the ignore file `name` with their lines. Raises InputError at one that means nothing."""
    rules: list[IgnoreRule] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.startswith("#"):  # in the first column only
            continue
        pattern = _clean_line(line.strip(SPACES))
        if pattern:
            try:
                compile_pattern(pattern)
            except InputError as error:
                raise error.at(Location(Source(name, text), Span(number, 0, number, len(line.rstrip())))) from None
            rules.append(IgnoreRule(pattern, number))
    return tuple(rules)


def parse_ignore(text: str, name: str = ".dockerignore") -> tuple[str, ...]:
    """The patterns of the ignore file `name`, cleaned, `!` kept. Raises InputError at one that means nothing."""
    return tuple(rule.pattern for rule in parse_rules(text, name))


def _clean_line(line: str) -> str:
    mark = "!" if line.startswith("!") else ""
    path = line[len(mark) :].strip(SPACES)
    if path:
        path = clean(path)
        path = path[1:] if len(path) > 1 and path[0] == "/" else path
    return mark + path


class IgnoreMatcher:
    """Patterns, compiled. Paths are relative to the root, `/`-separated, with neither a leading nor a trailing `/`.

    Raises InputError for a pattern that means nothing (a lone `!`, a bracket never closed).
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        compiled = [compile_pattern(text) for text in self._patterns]
        self._shows = tuple(pattern.shows for pattern in compiled)
        numbered = list(enumerate(compiled))
        self._exact = {p.match: index for index, p in numbered if p.kind == PATH}
        self._names = {p.match: index for index, p in numbered if p.kind == NAME}
        self._wild, self._wild_index = _alternatives(numbered, PATH_WILD)
        self._wild_name, self._wild_name_index = _alternatives(numbered, NAME_WILD)
        self._reshowing = [(index, pattern) for index, pattern in enumerate(compiled) if pattern.shows]
        self._directories: dict[str, int] = {"": -1}

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns as they were given; `rule_for` indexes them."""
        return self._patterns

    def ignored(self, path: str) -> bool:
        """Whether `path` is hidden. A hidden directory can still hold what is not: see `may_descend`."""
        index = self._verdict(path)
        return index >= 0 and not self._shows[index]

    def rule_for(self, path: str) -> int | None:
        """The index of the pattern that decides about `path`, or None when none matches it or a parent."""
        index = self._verdict(path)
        return index if index >= 0 else None

    def may_descend(self, directory: str) -> bool:
        """Whether anything below `directory` can be visible: it is not hidden, or a later `!` reaches below it."""
        index = self._verdict(directory)
        if index < 0 or self._shows[index]:
            return True
        parts = directory.split("/")
        return any(later > index and pattern.reaches_below(parts) for later, pattern in self._reshowing)

    def _verdict(self, path: str) -> int:
        """The greatest index of a pattern that matches `path` or a parent of it; -1 for none."""
        parent, slash, name = path.rpartition("/")
        best = self._directories.get(parent, None) if slash else -1
        if best is None:
            best = self._verdict(parent)
            if len(self._directories) >= _MAX_REMEMBERED:
                self._directories.clear()
            self._directories[parent] = best
        best = max(best, self._exact.get(path, -1), self._names.get(name, -1))
        if self._wild is not None and (found := self._wild.match(path)):
            best = max(best, self._wild_index[found.lastindex or 0])
        if self._wild_name is not None and (found := self._wild_name.match(name)):
            best = max(best, self._wild_name_index[found.lastindex or 0])
        return best


def _alternatives(patterns: list[tuple[int, Pattern]], kind: str) -> tuple[re.Pattern[str] | None, list[int]]:
    """One expression for all patterns of a kind, the last first, and the pattern index of each group."""
    wild = [(index, pattern.match) for index, pattern in patterns if pattern.kind == kind]
    if not wild:
        return None, []
    wild.reverse()
    expression = "|".join(f"({regex})" for _, regex in wild)
    return re.compile(rf"(?:{expression})\Z", re.DOTALL), [-1] + [index for index, _ in wild]
