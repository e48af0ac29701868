"""ConsistentInstructionCasing: all keywords in upper case, or all in lower case."""

from __future__ import annotations

from jettison.base.span import Span
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject


def check(subject: Subject) -> Found:
    """Keywords that are not in the case of the majority; in a tie that is upper case. BuildKit counts those of stages:
    an ARG before the first FROM may be in any case.
    """
    instructions = [one for node, body in subject.stages for one in (node, *body)]
    lower = sum(node.keyword.islower() for node in instructions)
    upper = sum(node.keyword.isupper() for node in instructions)
    majority = "lowercase" if lower > upper else "uppercase"
    for node in instructions:
        word, span = node.keyword, node.span
        if word != (word.lower() if lower > upper else word.upper()):
            place = Span(span.start_line, span.start_col, span.start_line, span.start_col + len(word))
            yield f"Command '{word}' should match the case of the command majority ({majority})", place


RULE = Rule(
    name="ConsistentInstructionCasing",
    description="All commands within the Dockerfile should use the same casing (either upper or lower)",
    check=check,
)
