"""FromAsCasing: `FROM x AS y` or `from x as y`."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject


def check(subject: Subject) -> Found:
    """An `AS` in another case than its FROM. A FROM in mixed case is ConsistentInstructionCasing's affair."""
    for node, _ in subject.stages:
        written, keyword = node.as_keyword, node.keyword
        if written is None:
            continue
        if (keyword.islower() and not written.islower()) or (keyword.isupper() and not written.isupper()):
            yield f"'{written}' and '{keyword}' keywords' casing do not match", node.span


RULE = Rule(
    name="FromAsCasing", description="The 'as' keyword should match the case of the 'from' keyword", check=check
)
