"""A syntax tree as indented text, with the place of each node: what the golden files hold."""

import msgspec

from jettison.base.span import Span
from jettison.syntax.nodes import Dockerfile


def show(dockerfile: Dockerfile) -> str:
    """The whole tree; fields at their defaults are left out, so that a new field changes no golden file."""
    lines = [f"escape {dockerfile.escape}"]
    lines += [f"directive {d.name} = {d.value!r} @{place(d.span)}" for d in dockerfile.directives]
    lines += [f"empty continuation @{place(span)}" for span in dockerfile.empty_continuations]
    for instruction in dockerfile.instructions:
        lines += _node("", instruction, 0)
    return "\n".join(lines) + "\n"


def place(span: Span) -> str:
    """`3:5-9`, or `3:5-4:2` over several lines. Lines count from 1, columns from 0."""
    end = f"{span.end_col}" if span.start_line == span.end_line else f"{span.end_line}:{span.end_col}"
    return f"{span.start_line}:{span.start_col}-{end}"


def _node(label: str, node: msgspec.Struct, depth: int) -> list[str]:
    fields = msgspec.structs.fields(node)
    span = getattr(node, "span", None)
    where = f" @{place(span)}" if span is not None else ""
    head = f"{'  ' * depth}{label}{type(node).__name__}{where}"
    if type(node).__name__ == "Word":
        return [f"{head} {node.text!r}"]
    lines = [head]
    for field in fields:
        value = getattr(node, field.name)
        if field.name == "span" or (field.default is not msgspec.NODEFAULT and value == field.default):
            continue
        lines += _value(field.name, value, depth + 1)
    return lines


def _value(name: str, value: object, depth: int) -> list[str]:
    if isinstance(value, msgspec.Struct):
        return _node(f"{name}: ", value, depth)
    if isinstance(value, tuple) and any(isinstance(item, msgspec.Struct) for item in value):
        lines: list[str] = []
        for item in value:
            lines += _node(f"{name}: ", item, depth)
        return lines
    return [f"{'  ' * depth}{name}: {value!r}"]
