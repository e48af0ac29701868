"""The two keys of a step, and the identity of its result. Pure (design: two keys a step).

A key is the digest of framed (name, value) parts, which it returns, so that a miss can say which part changed. Any
change of what is hashed here must raise KEY_VERSION; a golden test holds thirty keys.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jettison.base.canonical import canonical, canonical_digest
from jettison.base.digest import digest_of
from jettison.planning import ops
from jettison.record.model import KeyPart
from jettison.solve.ports import Key

KEY_VERSION = "1"
LONGEST_VALUE = 200

VERSION_PART = "version"
OP_PART = "op"
INPUT_PREFIX = "input "
ENV_PREFIX = "env "
FILE_PREFIX = "file "
SECRET_PREFIX = "secret "  # noqa: S105 - of a part's name

SEAL = "~"  # begins a value that can be compared, and not be read
_SEALED_DIGITS = 16

# What does not change what a step yields: how it runs, how it is shown, what only checks it, and names of what a digest
# already names (the identity of a source stands in for them).
_LEFT_OUT = {
    ops.ImageOp: frozenset(("ref",)),
    ops.HttpOp: frozenset(("url", "checksum")),
    ops.GitOp: frozenset(("ref", "checksum")),
    ops.RunOp: frozenset(("run_only",)),
}
_LEFT_OUT_OF_A_SOURCE = frozenset(("span_line",))

EMPTY_TREE = canonical_digest(("tree", "empty"))


def op_parts(op: ops.AnyOp, identity: str = "") -> tuple[KeyPart, ...]:
    """The parts of a key that say what the op is. `identity` is that of a source whose op does not hold it (a commit,
    a body's digest).
    """
    parts = [KeyPart(VERSION_PART, KEY_VERSION), KeyPart(OP_PART, type(op).__name__)]
    if identity:
        parts.append(KeyPart("identity", identity))
    left_out = _LEFT_OUT.get(type(op), frozenset())
    if isinstance(op, ops.GitOp) and not op.keep_git_dir:
        left_out |= {"remote"}  # nothing of it stands in the tree
    for name, value in _said(op).items():
        if name not in left_out:
            parts.extend(_field(name, value))
    return tuple(parts)


def op_digest(parts: tuple[KeyPart, ...]) -> str:
    """What finds earlier results of the same op, whatever it was run on, and whatever its secrets were."""
    return _digest("op", tuple(part for part in parts if not part.name.startswith(SECRET_PREFIX)))


def definition_key(parts: tuple[KeyPart, ...], inputs: Iterable[str]) -> Key:
    """What the step is: its op's parts, and for each input its definition key, or the digest of what is read of a
    local context.
    """
    return _key("definition", parts, inputs)


def content_key(parts: tuple[KeyPart, ...], inputs: Iterable[str], files: tuple[KeyPart, ...] = ()) -> Key:
    """What the step reads: its op's parts, and for each input the identity of its tree or the digest of what is read.

    `files` are the parts that local inputs' digests are made of: they tell a miss more, and do not enter the digest.
    """
    key = _key("content", parts, inputs)
    named = (KeyPart(FILE_PREFIX + utf8(part.name), part.value) for part in files)
    return Key(digest=key.digest, parts=(*key.parts, *named))


def content_digest(parts: tuple[KeyPart, ...]) -> str:
    """The digest of a content key that has these parts."""
    return _digest("content", tuple(part for part in parts if not part.name.startswith(FILE_PREFIX)))


def sealed(parts: Iterable[KeyPart], salt: str) -> tuple[KeyPart, ...]:
    """The parts, with marks for values: equal for equal values and salts. What leaves this machine says no more of a
    value than the key that it is in.
    """
    return tuple(
        KeyPart(part.name, SEAL + digest_of(f"{salt} {part.value}".encode())[7:][:_SEALED_DIGITS]) for part in parts
    )


def op_digest_of(key: Key) -> str:
    """The `op_digest` of the step whose definition key this is."""
    return op_digest(tuple(part for part in key.parts if not part.name.startswith(INPUT_PREFIX)))


def result_id(parent: str, layer_digests: tuple[str, ...]) -> str:
    """The identity of a tree: equal layers on an equal tree give an equal id, whatever made them. A step that added
    nothing yields the tree it began with.
    """
    for digest in layer_digests:
        parent = canonical_digest(("tree", parent, digest))
    return parent


def read_by_content(op: ops.AnyOp) -> frozenset[int]:
    """The inputs of which a step reads just some paths; the others are there as whole trees (its base)."""
    match op:
        case ops.CopyOp():
            found = {source.input for source in op.sources if source.input is not None}
        case ops.RunOp():
            found = {mount.input for mount in op.mounts if isinstance(mount, ops.BindMount)}
        case _:
            found = set()
    return frozenset(found - {0})


def utf8(text: str) -> str:
    """`text` as it can be shown and kept: bytes that are not UTF-8 (surrogateescape) become marks."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _field(name: str, value: object) -> list[KeyPart]:
    """The parts of one field: a part each for what a reader thinks of one by one."""
    if name == "env" and isinstance(value, tuple):
        return [KeyPart(ENV_PREFIX + utf8(variable), _text(text)) for variable, text in value]
    if name == "sources" and isinstance(value, tuple):
        return [KeyPart(f"source {index}", _text(_source(source))) for index, source in enumerate(value)]
    if name == "mounts" and isinstance(value, tuple):
        parts = [KeyPart(f"mount {index}", _text(_mount(mount))) for index, mount in enumerate(value)]
        return parts + _stamps(value)
    if name == "files" and isinstance(value, tuple):
        return [KeyPart(f"script {index}", _text(file)) for index, file in enumerate(value)]
    return [KeyPart(name, _text(value))]


def _source(source: ops.CopySource) -> dict[str, object]:
    return {name: value for name, value in _said(source).items() if name not in _LEFT_OUT_OF_A_SOURCE}


def _mount(mount: ops.AnyMount) -> dict[str, object]:
    return {"type": type(mount).__name__, **{name: value for name, value in _said(mount).items() if name != "stamp"}}


def _stamps(mounts: tuple[ops.AnyMount, ...]) -> list[KeyPart]:
    """A part for each secret whose value counts, so that a miss can name it."""
    found = {mount.id: mount.stamp for mount in mounts if isinstance(mount, ops.SecretMount) and mount.stamp}
    return [KeyPart(SECRET_PREFIX + utf8(name), stamp) for name, stamp in found.items()]


def _said(value: msgspec.Struct) -> dict[str, object]:
    """The fields that differ from their defaults: so an op may get a new field without every key changing."""
    kind = type(value)
    known = _FIELDS.get(kind)
    if known is None:
        known = _FIELDS[kind] = tuple((field.name, field.default) for field in msgspec.structs.fields(kind))
    found = {name: getattr(value, name) for name, _ in known}
    return {name: found[name] for name, default in known if default is msgspec.NODEFAULT or found[name] != default}


_FIELDS: dict[type[msgspec.Struct], tuple[tuple[str, object], ...]] = {}


def _text(value: object) -> str:
    """A value as JSON, or, when it is long, its digest: JSON never begins with an `s`."""
    data = canonical(value)
    return digest_of(data) if len(data) > LONGEST_VALUE else data.decode()


def _key(kind: str, parts: tuple[KeyPart, ...], inputs: Iterable[str]) -> Key:
    whole = (*parts, *(KeyPart(f"{INPUT_PREFIX}{index}", value) for index, value in enumerate(inputs)))
    return Key(digest=_digest(kind, whole), parts=whole)


def _digest(kind: str, parts: tuple[KeyPart, ...]) -> str:
    return canonical_digest((KEY_VERSION, kind, [(part.name, part.value) for part in parts]))
