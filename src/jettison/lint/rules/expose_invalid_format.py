"""ExposeInvalidFormat: EXPOSE says what listens inside; addresses and host ports are `docker run -p`'s affair."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Expose


def check(subject: Subject) -> Found:
    """A port with an address or a host's port in front."""
    for use in subject.uses:
        if not isinstance(use.node, Expose):
            continue
        for text in use.texts:
            for port in text.value.split() if text.sure else ():
                if ":" in port:
                    what = "EXPOSE instruction should not define an IP address or host-port mapping"
                    yield f"{what}, found '{port}'", text.span


RULE = Rule(
    name="ExposeInvalidFormat",
    description="IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error "
    "in a future release",
    check=check,
)
