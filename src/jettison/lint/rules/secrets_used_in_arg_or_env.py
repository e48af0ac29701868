"""SecretsUsedInArgOrEnv: ARG and ENV end up in the image or its history, for everyone to read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jettison.base.span import Span
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Arg, Env, Instruction
from jettison.syntax.quoting import quoted

SECRET = ("apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token")
ALLOWED = ("public", "file", "version")


def _word_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:^|_)(?:{'|'.join(words)})(?:_|\Z)", re.IGNORECASE)


_SECRET = _word_of(SECRET)
_ALLOWED = _word_of(ALLOWED)


def check(subject: Subject) -> Found:
    """A name that has one of the words that secrets are called by, between underscores, and none that explains it."""
    for node in subject.dockerfile.instructions:
        for name, span in _names(node):
            if _SECRET.search(name) and not _ALLOWED.search(name):
                what = f"{node.keyword.upper()} {quoted(name)}"
                yield f"Do not use ARG or ENV instructions for sensitive data ({what})", span


def _names(node: Instruction) -> Iterator[tuple[str, Span]]:
    match node:
        case Arg(names=names):
            for name in names:
                yield name.name, name.span
        case Env(pairs=pairs):
            for pair in pairs:
                yield pair.key.text.strip("\"'"), pair.key.span
        case _:
            return


RULE = Rule(
    name="SecretsUsedInArgOrEnv",
    description="Sensitive data should not be used in the ARG or ENV commands",
    check=check,
)
