"""InvalidDefinitionDescription: a comment right above FROM or ARG is taken for a description. Experimental."""

from __future__ import annotations

from jettison.lint.options import comment_options
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Arg, From, Instruction


def check(subject: Subject) -> Found:
    """A last comment above a named stage or an ARG that does not begin with the name."""
    for node in subject.dockerfile.instructions:
        names = _names(node)
        comment = _last_comment(node.comments)
        if not names or not comment or comment.split(" ")[0] in names:
            continue
        example = names[0] if len(names) == 1 else "<arg_key>"
        what = node.keyword.upper()
        yield f"Comment for {what} should follow the format: `# {example} <description>`", node.span


def _names(node: Instruction) -> tuple[str, ...]:
    match node:
        case From(name=name) if name is not None:
            return (name.text.lower(),)
        case Arg(names=names):
            return tuple(name.name for name in names)
        case _:
            return ()


def _last_comment(comments: tuple[str, ...]) -> str:
    """The last one that says something to people."""
    return next((one for one in reversed(comments) if one and comment_options((one,)) is None), "")


RULE = Rule(
    name="InvalidDefinitionDescription",
    description="Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. "
    "If this is not intended to be a description comment, add an empty line or comment between the instruction and "
    "the comment.",
    check=check,
    experimental=True,
)
