"""MultipleInstructionsDisallowed: of several CMDs in a stage all but the last do nothing."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Cmd, Entrypoint, Healthcheck, Instruction


def check(subject: Subject) -> Found:
    """A CMD, ENTRYPOINT or HEALTHCHECK that a later one of the same stage replaces."""
    for _, body in subject.stages:
        seen: dict[type[Instruction], Instruction] = {}
        for node in body:
            if not isinstance(node, (Cmd, Entrypoint, Healthcheck)):
                continue
            before = seen.get(type(node))
            if before is not None:
                what = f"Multiple {node.keyword} instructions should not be used in the same stage"
                yield f"{what} because only the last one will be used", before.span
            seen[type(node)] = node


RULE = Rule(
    name="MultipleInstructionsDisallowed",
    description="Multiple instructions of the same type should not be used in the same stage",
    check=check,
)
