"""What a case expects beside what came out: every difference as one line of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import images
from conformance import node
from conformance.case import Build
from conformance.run import Outcome

_COUNT = re.compile(r"^\[[^\]]*\d+/\d+\] ")


def faults(build: Build, outcome: Outcome, text: Callable[[str], str]) -> list[str]:
    """All that is not as expected; `text` puts in the places that `@NAME@` stands for."""
    found = [*_printed(build, outcome, text), *_requests(build, outcome)]
    if build.error is not None:
        return [*found, *_error(build, outcome, text)]
    if outcome.code != 0 or outcome.image is None:
        return [f"exit code {outcome.code}:\n{outcome.printed}"]
    tree = outcome.image.tree()
    found += _files(build, tree, text)
    found += _extent(build, outcome, tree)
    found += _config(build, outcome.image.config)
    found += _history(build, outcome)
    return [*found, *_verdicts(build, outcome)]


def _error(build: Build, outcome: Outcome, text: Callable[[str], str]) -> Iterator[str]:
    error = build.error
    assert error is not None
    if outcome.code == 0:
        yield f"it was built, and must fail with {error.says}"
        return
    for words in error.says:
        if text(words) not in outcome.printed:
            yield f"not said: {words!r}; said:\n{outcome.printed}"
    if error.code is not None and outcome.code != error.code:
        yield f"exit code {outcome.code}, expected {error.code}:\n{outcome.printed}"
    if error.line is not None and not re.search(rf"^jettison: \S+:{error.line}: ", outcome.printed, re.MULTILINE):
        yield f"line {error.line} is not named:\n{outcome.printed}"
    if outcome.code == 70 or "Traceback" in outcome.printed:
        yield f"a fault, not an error:\n{outcome.printed}"


def _printed(build: Build, outcome: Outcome, text: Callable[[str], str]) -> Iterator[str]:
    for words in map(text, build.output):
        if words not in outcome.printed:
            yield f"not in the log: {words!r}; the log:\n{outcome.printed}"
    for words in map(text, build.no_output):
        if words in outcome.printed:
            yield f"in the log: {words!r}; the log:\n{outcome.printed}"


def _requests(build: Build, outcome: Outcome) -> Iterator[str]:
    if build.requests is not None and outcome.requests != build.requests:
        yield f"requests are {outcome.requests}, expected {build.requests}"


def _files(build: Build, tree: images.Tree, text: Callable[[str], str]) -> Iterator[str]:
    for path, line in build.files.items():
        if path not in tree:
            near = [other for other in tree if not other.startswith("bin/")]
            yield f"/{path}: missing; there are {near[-40:]}"
        else:
            yield from _differences(path, node.parse(text(line)), tree)
    for path in build.absent:
        if path in tree:
            yield f"/{path}: there, and must not be: {tree[path]}"


def _differences(path: str, said: node.Node, tree: images.Tree) -> Iterator[str]:
    found = tree[path]
    if said.type == "hardlink":
        if tree.get(said.link or "") is not found:
            yield f"/{path}: not the same file as /{said.link}"
        return
    expected = node.plain(said)
    if said.mtime is not None:
        expected["mtime"] = said.mtime
    if said.device is not None:
        expected["device"] = list(said.device)
    if said.xattrs is not None:
        expected["xattrs"] = said.xattrs
    for key, value in expected.items():
        if found.get(key) != value:
            yield f"/{path}: {key} is {found.get(key)!r}, expected {value!r}"


def _extent(build: Build, outcome: Outcome, tree: images.Tree) -> Iterator[str]:
    assert outcome.image is not None
    below = outcome.over.tree() if outcome.over else {}
    if build.only is not None:
        changed = changes(below, tree)
        if changed != sorted(build.only):
            yield f"changed paths are {changed}, expected {sorted(build.only)}"
    if build.layers is not None:
        count = len(outcome.image.layers) - (len(outcome.over.layers) if outcome.over else 0)
        if count != build.layers:
            yield f"{count} layers over the base, expected {build.layers}"


def changes(below: images.Tree, tree: images.Tree) -> list[str]:
    """The paths that are new or other than in the base (times apart), and with a minus those that are gone."""
    before, after = images.plain(below), images.plain(tree)
    changed = [path for path, found in after.items() if before.get(path) != found]
    return sorted([*changed, *(f"-{path}" for path in before.keys() - after.keys())])


def _config(build: Build, config: dict[str, Any]) -> Iterator[str]:
    inner = config.get("config") or {}
    yield from _subset("config", build.config, inner)
    yield from _subset("image", build.image, config)
    for key in build.no_config:
        if inner.get(key):
            yield f"config {key} is {inner[key]!r}, expected none"
    variables = dict(pair.partition("=")[::2] for pair in inner.get("Env") or [])
    yield from _subset("Env", dict(build.env), variables)
    for name in build.no_env:
        if name in variables:
            yield f"Env has {name}={variables[name]}"


def _subset(what: str, expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for key, value in expected.items():
        if key == "Labels" and isinstance(found.get(key), dict):
            yield from _subset("label", value, found[key])
        elif found.get(key) != value:
            yield f"{what} {key} is {found.get(key)!r}, expected {value!r}"


def _history(build: Build, outcome: Outcome) -> Iterator[str]:
    assert outcome.image is not None
    whole = outcome.image.config.get("history") or []
    wanted = len(outcome.image.layers) if build.history_layers is True else build.history_layers
    count = sum(not entry.get("empty_layer") for entry in whole)
    if wanted and count != wanted:
        yield f"{count} entries of the history are layers, expected {wanted}: {whole}"
    for value in build.history_has:
        if not any(value in entry.values() for entry in whole):
            yield f"no entry of the history has {value!r}: {whole}"
    if build.history is None:
        return
    below = len(outcome.over.config.get("history") or []) if outcome.over else 0
    entries = [
        f"{'empty' if entry.get('empty_layer') else 'layer'}: {entry.get('created_by', '')}"
        for entry in outcome.image.config["history"][below:]
    ]
    if entries != build.history:
        yield f"history is {entries}, expected {build.history}"


def _verdicts(build: Build, outcome: Outcome) -> Iterator[str]:
    steps = outcome.record.get("steps", [])
    for display in build.steps:
        if not any(step["display"].startswith(display) for step in steps):
            yield f"no step {display!r}; there are {[step['display'] for step in steps]}"
    for verdict, starts in (("cached", build.cached), ("ran", build.ran)):
        for start in starts:
            matching = [step for step in steps if _COUNT.sub("", step["display"]).startswith(start)]
            if not matching or any(step["verdict"] != verdict for step in matching):
                yield f"step {start!r} is not {verdict}: {[(step['display'], step['verdict']) for step in steps]}"
