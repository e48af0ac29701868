"""MaintainerDeprecated: a label says who made an image."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Maintainer


def check(subject: Subject) -> Found:
    """Every MAINTAINER."""
    for node in subject.dockerfile.instructions:
        if isinstance(node, Maintainer):
            yield "Maintainer instruction is deprecated in favor of using label", node.span


RULE = Rule(
    name="MaintainerDeprecated",
    description="The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    check=check,
)
