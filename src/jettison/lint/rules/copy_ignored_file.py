"""CopyIgnoredFile: what the ignore file hides is not in the context."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.lint.walk import Text, Use
from jettison.planning.remotes import is_remote
from jettison.syntax.cleanpath import clean
from jettison.syntax.nodes import Add, Copy
from jettison.syntax.quoting import quoted

_ANY_NAME = "\0"  # which only a pattern that hides everything matches


def check(subject: Subject) -> Found:
    """A source in the build context that is hidden, with nothing below it that an exception brings back."""
    if not subject.ignore:
        return
    from jettison.syntax.ignore import IgnoreMatcher

    ignore = IgnoreMatcher(subject.ignore)
    exceptions = any(pattern.startswith("!") for pattern in subject.ignore)
    for use in subject.uses:
        for text in _sources(use):
            path = clean(f"/{text.value}")[1:]
            if path:
                hidden = ignore.ignored(path) and not ignore.may_descend(path)
            else:
                hidden = not exceptions and ignore.ignored(_ANY_NAME)
            if hidden:
                what = "Add" if isinstance(use.node, Add) else "Copy"
                shown = quoted(f"/{path}" if text.value.startswith("/") else path or ".")
                yield f"Attempting to {what} file {shown} that is excluded by .dockerignore", text.span


def _sources(use: Use) -> tuple[Text, ...]:
    """What is read from the build context."""
    match use.node:
        case Add(sources=sources):
            return tuple(text for text in use.texts[: len(sources)] if text.sure and not is_remote(text.value))
        case Copy(sources=sources, from_=None):
            return tuple(text for text in use.texts[: len(sources)] if text.sure)
        case _:
            return ()


RULE = Rule(
    name="CopyIgnoredFile", description="Attempting to Copy file that is excluded by .dockerignore", check=check
)
