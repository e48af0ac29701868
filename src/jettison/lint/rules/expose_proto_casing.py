"""ExposeProtoCasing: `80/tcp`, not `80/TCP`."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Expose


def check(subject: Subject) -> Found:
    """A protocol that is not in lower case."""
    for use in subject.uses:
        if not isinstance(use.node, Expose):
            continue
        for text in use.texts:
            for port in text.value.split() if text.sure else ():
                protocol = port.partition("/")[2]
                if protocol != protocol.lower():
                    yield f"Defined protocol '{port}' in EXPOSE instruction should be lowercase", text.span


RULE = Rule(name="ExposeProtoCasing", description="Protocol in EXPOSE instruction should be lowercase", check=check)
