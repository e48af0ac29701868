"""FromPlatformFlagConstDisallowed: a platform that is written down is the same whatever one builds for."""

from __future__ import annotations

from jettison.base.errors import InputError
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.planning.scope import read_platform
from jettison.syntax.nodes import From
from jettison.syntax.quoting import quoted


def check(subject: Subject) -> Found:
    """A --platform without a variable, but for stages that are named after it."""
    for words in subject.from_words:
        looked, word = words.platform, words.node.platform
        if looked is None or word is None or looked.matched or looked.unset or not looked.value:
            continue
        if not _named_after(words.node, looked.value, subject.options.build_platform):
            yield f"FROM --platform flag should not use constant value {quoted(word.text)}", word.span


def _named_after(node: From, text: str, build_platform: str) -> bool:
    name = node.name.text.lower() if node.name is not None else ""
    try:
        platform = read_platform(text, build_platform)
    except InputError:
        return False
    return platform.os in name or platform.architecture in name


RULE = Rule(
    name="FromPlatformFlagConstDisallowed",
    description="FROM --platform flag should not use a constant value",
    check=check,
)
