"""Why a step runs, in one line: the parts of an earlier key and those of the one that missed, compared. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jettison.base.digest import is_digest
from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.record.model import KeyPart
from jettison.solve.key import ENV_PREFIX, FILE_PREFIX, INPUT_PREFIX, OP_PART, SEAL, SECRET_PREFIX, VERSION_PART
from jettison.syntax.regex import lazy

FIRST_BUILD = "first build of this step"
FIRST_FETCH = "not fetched before"
GONE = "its earlier result is no longer in the store"
NOT_GIVEN = "no cache gives its earlier result"

NAMED_CHANGES = 3
SHOWN_VALUE = 40

# Whole words of a variable's name that speak of a secret (reference §1.12): its values are not shown.
_SECRET = lazy(
    r"(?:^|_)(apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_ADD = "add"  # of a CopyOp: it is an ADD
_PARENTS = "parents"
_WORDS = {
    "args": "the command",
    "path": "the path",
    "cwd": "the working directory",
    "user": "the user",
    "dest": "the destination",
    "digest": "the image's digest",
    "identity": "what the server has",
    "shm_size_bytes": "the size of /dev/shm",
    "extra_hosts": "the added hosts",
    "excludes": "--exclude",
    "chown": "--chown",
    "chmod": "--chmod",
    "link": "--link",
    "parents": "--parents",
    "network": "--network",
    "security": "--security",
}


def reason(old: tuple[KeyPart, ...] | None, new: tuple[KeyPart, ...], inputs: tuple[str, ...] = ()) -> str:
    """What of `new` differs from `old` (None: never built). `inputs` says in words what each input is (`labels`)."""
    if old is None:
        return FIRST_BUILD
    before, after = _by_name(old), _by_name(new)
    if before.get(VERSION_PART) != after.get(VERSION_PART):
        return "jettison counts keys in another way than it did"
    if before.get(OP_PART) != after.get(OP_PART) or before.get(_ADD) != after.get(_ADD):
        return "another instruction stood here"
    changed = [name for name in (*after, *(n for n in before if n not in after)) if before.get(name) != after.get(name)]
    own = [name for name in changed if not name.startswith((INPUT_PREFIX, FILE_PREFIX))]
    found = [_own(name, before.get(name), after.get(name)) for name in own]
    files = [_file(name, before.get(name), after.get(name)) for name in changed if name.startswith(FILE_PREFIX)]
    if _PARENTS in own:
        return _listed(found)  # the same files have other names then
    found += files or [_label(name, inputs) for name in changed if _is_local(name, inputs)]
    found += [_label(name, inputs) for name in changed if name.startswith(INPUT_PREFIX) and not _is_local(name, inputs)]
    return _listed(found) or GONE


def first_build(platform: str = "") -> str:
    """A step that was never built here, or never for that platform."""
    return f"{FIRST_BUILD} for {platform}" if platform else FIRST_BUILD


def labels(step: Step, producers: Iterable[Step]) -> tuple[str, ...]:
    """In words, what each input of a step is. `producers` are the steps that it names, in order."""
    return tuple(_name_of(index, producer, step) for index, producer in enumerate(producers))


def _name_of(index: int, producer: Step, step: Step) -> str:
    match producer.op:
        case ops.LocalOp():
            return _local_name(producer.op.name)
        case ops.ImageOp():
            return f"the base image {producer.op.ref}" if index == 0 else f"files from {producer.op.ref}"
        case ops.HttpOp():
            return producer.op.url
        case ops.GitOp():
            return producer.op.remote
        case _ if index == 0 and producer.stage == step.stage:
            return "the step before it"
        case _ if index == 0:
            return f"stage {producer.stage}"
        case _:
            return f"files from stage {producer.stage}"


_LOCAL = "files of the build context"


def _local_name(name: str) -> str:
    return _LOCAL if name == ops.CONTEXT else f"{_LOCAL} {name}"


def _is_local(name: str, inputs: tuple[str, ...]) -> bool:
    return name.startswith(INPUT_PREFIX) and _input(name, inputs).startswith(_LOCAL)


def _input(name: str, inputs: tuple[str, ...]) -> str:
    number = name[len(INPUT_PREFIX) :]  # a cache elsewhere may say anything
    return inputs[int(number)] if number.isdecimal() and int(number) < len(inputs) else name


def _label(name: str, inputs: tuple[str, ...]) -> str:
    return f"{_input(name, inputs)} changed"


def _file(name: str, before: str | None, after: str | None) -> str:
    path = name[len(FILE_PREFIX) :].lstrip("/") or "."
    return f"{path} {_verb(before, after)}"


def _printable(text: str) -> str:
    """The text in one line that says nothing to a terminal: a name may hold any byte."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _own(name: str, before: str | None, after: str | None) -> str:
    """One part of the op itself, with its values where they are short and no secret's."""
    if name.startswith(ENV_PREFIX):
        variable = name[len(ENV_PREFIX) :]
        hidden = _SECRET.search(variable) is not None
        return f"{variable} {_verb(before, after)}{'' if hidden else _values(before, after)}"
    if name.startswith(SECRET_PREFIX):
        return f"{name} {_verb(before, after)}"
    kind, _, number = name.partition(" ")
    if kind in {"source", "mount", "script"} and number.isdecimal():
        return f"{kind} {int(number) + 1} {_verb(before, after)}"
    word = _WORDS.get(name, name)
    verb = _verb(before, after) if word.startswith("--") else "changed"
    return f"{word} {verb}{'' if name == 'args' else _values(before, after)}"


def _verb(before: str | None, after: str | None) -> str:
    if before is None:
        return "is new"
    return "is gone" if after is None else "changed"


def _values(before: str | None, after: str | None) -> str:
    if before is None or after is None or is_digest(before) or is_digest(after):
        return ""
    if before.startswith(SEAL):
        return ""
    if len(before) > SHOWN_VALUE or len(after) > SHOWN_VALUE:
        return ""
    return f" from {before} to {after}"


def _listed(found: list[str]) -> str:
    more = len(found) - NAMED_CHANGES
    tail = f", and {more} more" if more > 0 else ""
    return ", ".join(map(_printable, found[:NAMED_CHANGES])) + tail


def _by_name(parts: tuple[KeyPart, ...]) -> dict[str, str]:
    return {part.name: part.value for part in parts}
