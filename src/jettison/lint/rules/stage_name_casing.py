"""StageNameCasing: names of stages compare in lower case, and are written so."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject


def check(subject: Subject) -> Found:
    """A name that is not in lower case."""
    for node, _ in subject.stages:
        name = node.name
        if name is not None and name.text != name.text.lower():
            yield f"Stage name '{name.text}' should be lowercase", name.span


RULE = Rule(name="StageNameCasing", description="Stage names should be lowercase", check=check)
