"""LegacyKeyValueFormat: `ENV KEY rest of line` takes one pair, and quotes are not what they are elsewhere."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Env, Label


def check(subject: Subject) -> Found:
    """An ENV or LABEL without `=`."""
    for node in subject.dockerfile.instructions:
        if isinstance(node, (Env, Label)) and node.pairs[0].legacy:
            word = node.keyword
            yield f'"{word} key=value" should be used instead of legacy "{word} key value" format', node.span


RULE = Rule(
    name="LegacyKeyValueFormat",
    description="Legacy key/value format with whitespace separator should not be used",
    check=check,
)
