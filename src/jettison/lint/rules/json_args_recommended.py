"""JSONArgsRecommended: in shell form the shell is process 1, and passes no signals on."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Cmd, Entrypoint, ShellForm


def check(subject: Subject) -> Found:
    """A CMD or ENTRYPOINT in shell form. Whoever has chosen a SHELL wants it."""
    for use in subject.uses:
        node = use.node
        if isinstance(node, (Cmd, Entrypoint)) and isinstance(node.command, ShellForm) and not use.shell:
            what = node.keyword
            yield (
                f"JSON arguments recommended for {what} to prevent unintended behavior related to OS signals",
                node.span,
            )


RULE = Rule(
    name="JSONArgsRecommended",
    description="JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    check=check,
)
