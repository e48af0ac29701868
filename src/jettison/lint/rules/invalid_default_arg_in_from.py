"""InvalidDefaultArgInFrom: a Dockerfile should build without any build argument."""

from __future__ import annotations

import msgspec

from jettison.base.errors import InputError
from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.lint.words import Looked, look
from jettison.oci.reference import parse_reference
from jettison.planning.faults import Faults
from jettison.planning.scope import global_scope


def check(subject: Subject) -> Found:
    """A base that, by the defaults alone, is no image's name and no stage's above."""
    if not any(words.base.matched or words.base.unset for words in subject.from_words):
        return
    dockerfile = subject.dockerfile
    plain = msgspec.structs.replace(subject.options, build_args={})
    values = global_scope(subject.globals, plain, dockerfile.escape, Faults(dockerfile.source))
    stages: set[str] = set()
    for node, _ in subject.stages:
        looked = look(node.base.text, values.get, dockerfile.escape)
        if looked.value is not None and (looked.matched or looked.unset) and not _names_something(looked, stages):
            yield f"Default value for ARG {node.base.text} results in empty or invalid base image name", node.base.span
        if node.name is not None:
            stages.add(node.name.text.lower())


def _names_something(looked: Looked, stages: set[str]) -> bool:
    name = looked.value or ""
    if name.lower() in stages:
        return True
    try:
        parse_reference(name)
    except InputError:
        return False
    return True


RULE = Rule(
    name="InvalidDefaultArgInFrom",
    description="Default value for global ARG results in an empty or invalid base image name",
    check=check,
)
