"""RedundantTargetPlatform: `--platform=$TARGETPLATFORM` is what happens without it."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject

TARGET = "TARGETPLATFORM"


def check(subject: Subject) -> Found:
    """A --platform that is the target's, by that one name."""
    for words in subject.from_words:
        looked, word = words.platform, words.node.platform
        if looked is None or word is None or looked.matched != (TARGET,) or looked.unset:
            continue
        if looked.value == subject.values.get(TARGET):
            message = f"Setting platform to predefined {word.text} in FROM is redundant as this is the default behavior"
            yield message, word.span


RULE = Rule(
    name="RedundantTargetPlatform",
    description="Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    check=check,
)
