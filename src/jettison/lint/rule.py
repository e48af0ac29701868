"""What a rule is, and what it finds. Reference §1.12."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from jettison.base.span import Span

if TYPE_CHECKING:
    from jettison.lint.subject import Subject

Found = Iterator[tuple[str, Span]]  # (message, where)

_URL = "https://docs.docker.com/go/dockerfile/rule/"
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, as data: `check` is a pure function that yields what it finds, over all stages, in any order.

    `name` is what `check=skip=` takes. An experimental rule runs only when `check=experimental=` names it.
    """

    name: str
    description: str
    check: Callable[[Subject], Found]
    experimental: bool = False

    @property
    def url(self) -> str:
        """The page of BuildKit's documentation that is about this rule."""
        return f"{_URL}{kebab(self.name)}/"


class Finding(msgspec.Struct, frozen=True):
    """One thing that a rule found. `message` is in BuildKit's words, which people search for."""

    rule: str
    message: str
    span: Span


def kebab(name: str) -> str:
    """A rule's name as its page has it: `JSONArgsRecommended` is `json-args-recommended`."""
    return _WORD_START.sub("-", name).lower()
