"""WorkdirRelativePath: a relative WORKDIR joins whatever the base image has set."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Workdir
from jettison.syntax.quoting import quoted


def check(subject: Subject) -> Found:
    """A relative WORKDIR that none precedes in the build."""
    for use in subject.uses:
        if not isinstance(use.node, Workdir) or use.workdir:
            continue
        (path,) = use.texts
        if path.sure and not _is_absolute(path.value):
            message = f"Relative workdir {quoted(path.value)} can have unexpected results if the base image changes"
            yield message, use.node.span


def _is_absolute(path: str) -> bool:
    """Of Windows, too: a letter and a colon in front."""
    return path.startswith("/") or (path[1:2] == ":" and path[2:3] in {"/", "\\"})


RULE = Rule(
    name="WorkdirRelativePath",
    description="Relative workdir without an absolute workdir declared within the build can have unexpected results "
    "if the base image changes",
    check=check,
)
