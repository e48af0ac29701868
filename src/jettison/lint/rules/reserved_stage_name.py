"""ReservedStageName: `scratch` and `context` mean something already."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.planning.contexts import RESERVED
from jettison.syntax.quoting import quoted


def check(subject: Subject) -> Found:
    """A stage of such a name."""
    for node, _ in subject.stages:
        if node.name is not None and node.name.text.lower() in RESERVED:
            name = quoted(node.name.text.lower())
            yield f"Stage name should not use the same name as reserved stage {name}", node.name.span


RULE = Rule(name="ReservedStageName", description="Reserved words should not be used as stage names", check=check)
