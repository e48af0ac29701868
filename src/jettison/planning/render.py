"""A plan as text, for golden files and for people: steps with their ops, then the config and the history."""

from __future__ import annotations

from typing import Any

import msgspec

from jettison.planning.graph import Plan, Step
from jettison.planning.ops import CopySource

_QUIET = {"type", "span_line"}  # fields that every value has, or that say nothing of what a step does


def render(plan: Plan) -> str:
    """The whole plan, one line a fact, ending in a line feed. Fields at their defaults are left out."""
    lines = [f"platform {plan.platform}", f"target {plan.target}"]
    lines.append(f"stages {' '.join(plan.stages)}")
    if plan.source_date_epoch:
        lines.append(f"epoch {plan.source_date_epoch}")
    for step in plan.steps:
        lines += ["", *_step(step)]
    lines += ["", f"result {plan.result}", f"lineage {' '.join(plan.lineage)}", "", *_config(plan), "", *_history(plan)]
    lines += [f"warning {text}" for text in (*plan.warnings, *plan.unconsumed)]
    return "\n".join(lines) + "\n"


def _step(step: Step) -> list[str]:
    place = f" at {step.location}" if step.location else ""
    stage = f" of {step.stage}" if step.stage else ""
    lines = [f"{step.id}: {type(step.op).__name__}{stage}{place}", f"  {step.display}"]
    lines += [f"  input {index}: {name}" for index, name in enumerate(step.inputs)]
    return lines + [f"  {line}" for line in _fields(step.op)]


def _fields(value: msgspec.Struct) -> list[str]:
    lines: list[str] = []
    for field in msgspec.structs.fields(value):
        item = getattr(value, field.name)
        default = field.default if field.default is not msgspec.NODEFAULT else None
        if field.name in _QUIET or item == default or item in ((), {}):
            continue
        lines += _field(field.name, item)
    return lines


def _field(name: str, item: Any) -> list[str]:
    if name == "env":
        return [f"env {key}={value}" for key, value in item] if isinstance(item, tuple) else [f"env: {item}"]
    if isinstance(item, msgspec.Struct):
        return [f"{name}: {_inline(item)}"]
    if isinstance(item, tuple) and item and isinstance(item[0], msgspec.Struct):
        return [f"{name}: {_inline(one)}" for one in item]
    return [f"{name}: {_text(name, item)}"]


def _inline(value: msgspec.Struct) -> str:
    """A value on one line: `BindMount target=/x input=1`."""
    head = "" if isinstance(value, CopySource) else f"{type(value).__name__} "
    shown: list[str] = []
    for field in msgspec.structs.fields(value):
        item = getattr(value, field.name)
        if field.name in _QUIET or item == field.default or item in ((), {}):
            continue
        shown.append(f"{field.name}={_inline(item) if isinstance(item, msgspec.Struct) else _text(field.name, item)}")
    return head + " ".join(shown)


def _text(name: str, item: Any) -> str:
    if isinstance(item, str):
        return msgspec.json.encode(item).decode() if not item or any(c in item for c in ' "\n\t\\') else item
    if name == "mode" and isinstance(item, int):
        return f"0{item:o}"
    return msgspec.json.encode(msgspec.to_builtins(item)).decode()


def _config(plan: Plan) -> list[str]:
    config = msgspec.to_builtins(plan.config)
    runtime = config.pop("config", {})
    lines = [f"config {key}: {_text(key, config[key])}" for key in config if key not in {"history", "rootfs"}]
    lines.append(f"config base: {len(plan.config.rootfs.diff_ids)} layers, {len(plan.config.history)} entries")
    return lines + [f"config.{key}: {_text(key, runtime[key])}" for key in runtime]


def _history(plan: Plan) -> list[str]:
    return [
        f"history {'-' if entry.step is None else entry.step}: {_text('', entry.entry.created_by)}"
        for entry in plan.history
    ]
