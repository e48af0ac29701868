"""NoEmptyContinuation: an empty line inside a continued instruction."""

from __future__ import annotations

from bisect import bisect_right

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject


def check(subject: Subject) -> Found:
    """The first empty line of each instruction that holds one."""
    empty = subject.dockerfile.empty_continuations
    if not empty:
        return
    starts = [node.span.start_line for node in subject.dockerfile.instructions]
    told: set[int] = set()
    for span in empty:
        owner = bisect_right(starts, span.start_line)
        if owner not in told:
            told.add(owner)
            yield "Empty continuation line", span


RULE = Rule(
    name="NoEmptyContinuation",
    description="Empty continuation lines will become errors in a future release",
    check=check,
)
