"""SecretsUsedInArgOrEnv: ARG and ENV end up in the image or its history, for everyone to read."""

from __future__ import annotations

from collections.abc import Iterator

from jettison.base.span import Span
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Arg, Env, Instruction
from jettison.syntax.quoting import quoted

SECRET = frozenset(
    {"apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"}
)
ALLOWED = frozenset({"public", "file", "version"})


def check(subject: Subject) -> Found:
    """A name that has one of the words that secrets are called by, between underscores, and none that explains it."""
    for node in subject.dockerfile.instructions:
        for name, span in _names(node):
            words = set(name.lower().split("_"))
            if not words.isdisjoint(SECRET) and words.isdisjoint(ALLOWED):
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
