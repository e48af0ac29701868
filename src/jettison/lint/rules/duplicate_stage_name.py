"""DuplicateStageName: of two stages of one name only the later can be meant."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.quoting import quoted


def check(subject: Subject) -> Found:
    """A name that a stage above has already, in any case."""
    seen: set[str] = set()
    for node, _ in subject.stages:
        if node.name is None:
            continue
        name = node.name.text.lower()
        if name in seen:
            yield f"Duplicate stage name {quoted(name)}, stage names should be unique", node.name.span
        seen.add(name)


RULE = Rule(name="DuplicateStageName", description="Stage names should be unique", check=check)
