"""What another builder made of a case, written down once: read, compared with, and laid under what is known to differ.

A record has the image's config, and what its tree has beyond the base's. It is keyed by all that decides it. The tests
of this folder and those of tests/conformance keep their records so.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import images
import peers

HERE = os.path.dirname(os.path.realpath(__file__))
BASE = "busybox"
WHICH = os.environ.get("JETTISON_DIFFERENTIAL", "tenth")  # tenth, all or none: what buildah builds afresh

# Files of the base whose bytes depend on the machine: records call them by these names.
_NAMED = {"bin/busybox": "@busybox", "etc/ssl/certs/ca-certificates.crt": "@certificates"}

# What buildah leaves where it mounts, and BuildKit does not. (/proc, /sys and /dev stay with both of them.)
_EMPTY = f"sha256:{hashlib.sha256().hexdigest()}"
_TRACES: images.Tree = {path: {"type": "dir", "mode": "0755", "uid": 0, "gid": 0} for path in ("run", "etc")} | {
    path: {"type": "file", "mode": "0755", "uid": 0, "gid": 0, "size": 0, "digest": _EMPTY}
    for path in ("etc/hostname", "etc/hosts", "etc/resolv.conf")
}


class Differs(NamedTuple):
    """Where BuildKit, the reference, makes something else than the peer, and why: a paragraph of the reference.

    `over`, `config` and `tree` are laid over the record's; None takes a key or a path away.
    """

    reason: str
    over: str | None
    config: dict[str, Any]
    tree: dict[str, Any]


class Subject(NamedTuple):
    """A case as its record sees it: where it is written, and what decides it beside the peer and the base."""

    name: str
    page: str
    inputs: list[Any]
    files: str
    has_run: bool
    differs: Differs | None

    def record(self) -> dict[str, Any] | None:
        """What is written down; None when nothing is."""
        if not os.path.exists(self.page):
            return None
        with open(self.page, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found

    def written(self) -> dict[str, Any]:
        """The record, which must be there."""
        found = self.record()
        assert found is not None, f"tests/differential/record {self.name}"
        return found

    @property
    def over(self) -> str:
        """What the image lies over: the base, or nothing."""
        said = self.differs.over if self.differs else None
        return str(said or self.written().get("over", "scratch"))


class Base(NamedTuple):
    """The base image as an OCI layout directory, read once."""

    layout: str
    tree: images.Tree
    settings: dict[str, Any]
    diff_ids: list[str]
    names: dict[str, str]


def read_base(layout: str) -> Base:
    """Read the base, and name those of its files that the machine decides."""
    image = images.read(layout)
    tree = images.plain(image.tree())
    called = {tree[path]["digest"]: name for path, name in _NAMED.items()}
    return Base(layout, _called_by_name(tree, called), image.settings(), image.config["rootfs"]["diff_ids"], called)


def _called_by_name(tree: images.Tree, called: dict[str, str]) -> images.Tree:
    """The tree with the machine's own files called by name, and no sizes of them."""
    found = {}
    for path, node in tree.items():
        name = called.get(node.get("digest", ""))
        found[path] = {**{key: value for key, value in node.items() if key != "size"}, "digest": name} if name else node
    return found


def key(subject: Subject, peer: str, base: Base) -> str:
    """A digest of all that decides a record: Dockerfile, context, flags, the peer's version, and the base's recipe."""
    parts: list[object] = [peer, *subject.inputs, base.settings]
    parts.append({path: node for path, node in base.tree.items() if not path.startswith("bin/")})  # no applets
    text = json.dumps(parts, sort_keys=True) + subject.files
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def of_image(subject: Subject, image: images.Image, base: Base) -> dict[str, Any]:
    """What is written down of an image that the peer made."""
    tree = _called_by_name(images.plain(image.tree()), base.names)
    over_base = image.config["rootfs"]["diff_ids"][:1] == base.diff_ids
    below = base.tree if over_base else {}
    tree = _without_traces(tree, below) if subject.has_run else tree
    return {
        "over": BASE if over_base else "scratch",
        "config": _without_base(image.settings(), base, over_base=over_base),
        "tree": {path: node for path, node in tree.items() if below.get(path) != node},
        "removed": sorted(below.keys() - tree.keys()),
    }


def _without_traces(tree: images.Tree, below: images.Tree) -> images.Tree:
    """The tree without the empty mount points that the peer made and the base does not have."""
    found = dict(tree)
    for path in reversed(_TRACES):
        is_parent = any(other.startswith(f"{path}/") for other in found)
        if not is_parent and path not in below and found.get(path) == _TRACES[path]:
            del found[path]
    return found


def _without_base(settings: dict[str, Any], base: Base, *, over_base: bool) -> dict[str, Any]:
    """The config without the base's labels and this machine's processor, which are the same on both sides."""
    found = copy.deepcopy(settings)
    del found["architecture"]
    if over_base:
        found["Labels"] = {
            key: value for key, value in found.get("Labels", {}).items() if key not in base.settings["Labels"]
        }
    if not found.get("Labels"):
        found.pop("Labels", None)
    return found


def faults(subject: Subject, image: images.Image, base: Base) -> list[str]:
    """One line a difference of our image from what the record says, with what is known to differ laid over it."""
    expected_config, expected_tree = expected(subject, base)
    tree = _called_by_name(images.plain(image.tree()), base.names)
    config = _without_base(image.settings(), base, over_base=subject.over == BASE)
    lines = [
        f"config {key} is {config.get(key)!r}, expected {expected_config.get(key)!r}"
        for key in sorted(config.keys() | expected_config.keys())
        if config.get(key) != expected_config.get(key)
    ]
    return lines + images.differences(expected_tree, tree)


def expected(subject: Subject, base: Base) -> tuple[dict[str, Any], images.Tree]:
    """Config and tree that jettison must make: the record, with what is said of BuildKit laid over it."""
    record = subject.written()
    tree = dict(base.tree if subject.over == BASE else {})
    for path in record.get("removed", ()):
        tree.pop(path, None)
    tree |= record.get("tree", {})
    config = record.get("config", {})
    if subject.differs is None:
        return config, tree
    return _laid_over(config, subject.differs.config), _laid_over(tree, subject.differs.tree)


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """The upper value of each key; None takes the key away."""
    return {key: value for key, value in {**below, **above}.items() if value is not None}


def assert_belongs(subject: Subject, base: Base) -> None:
    """The record was made of what the case is now."""
    record = subject.written()
    now = key(subject, record["peer"], base)
    assert record["key"] == now, f"the case changed: tests/differential/record {subject.name}"


def assert_differs(subject: Subject, base: Base) -> None:
    """What is said to differ has its reason, and does."""
    differs, record = subject.differs, subject.written()
    assert differs is not None
    assert differs.reason.startswith("§")
    assert differs.config or differs.tree or "failed" in record, "nothing differs"
    tree = {**(base.tree if subject.over == BASE else {}), **record.get("tree", {})}
    config = record.get("config", {})
    assert [key for key, value in differs.config.items() if config.get(key) == value] == []
    assert [path for path, node in differs.tree.items() if tree.get(path) == node] == []


def is_due(name: str) -> bool:
    """Whether buildah builds this case afresh today: each case has its turn once in ten days."""
    day = dt.datetime.now(tz=dt.UTC).timetuple().tm_yday
    return WHICH == "all" or (WHICH == "tenth" and zlib.crc32(name.encode()) % 10 == day % 10)


def made(subject: Subject, base: Base, out: str, build: Callable[[], object]) -> dict[str, Any]:
    """The record, but for its key, of what `build` makes with the peer as the archive `out`, or of its failing."""
    try:
        build()
    except peers.PeerError as error:
        said = str(error).replace(os.path.dirname(out), "").splitlines()[-1]
        return {"failed": re.sub(r"\{Value:.*?\}: ", "", said)}
    return of_image(subject, images.read(out), base)


def assert_still_made(subject: Subject, base: Base, out: str, build: Callable[[], object]) -> None:
    """The peer makes today what is written down (or fails as it did)."""
    record, found = subject.written(), made(subject, base, out, build)
    if "failed" not in record:
        record = {key: value for key, value in record.items() if key not in ("key", "peer")}
        assert found == record
    assert ("failed" in found) == ("failed" in record)


def ocidiff(subject: Subject, theirs: str, ours: str) -> str:
    """What the judge that this project did not write has to say, where there is one (JETTISON_OCIDIFF, or in
    shared/tools beside the checkout). It does not know of the mount points that buildah leaves, nor of what differs.
    """
    beside = os.path.join(HERE, "..", "..", "..", "shared", "tools", "ocidiff")
    judge = os.environ.get("JETTISON_OCIDIFF") or os.path.realpath(beside)
    if not os.path.exists(judge):
        return ""
    tree = images.read(ours).tree()
    traces = [f"--ignore={path}" for path in _TRACES if subject.has_run and path not in tree]
    command = [sys.executable, judge, "--ignore-mtime", "--max=10000", *traces, theirs, ours]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    known = _known(subject.differs)
    return "".join(line for line in (done.stdout + done.stderr).splitlines(keepends=True) if not line.startswith(known))


def _known(differs: Differs | None) -> tuple[str, ...]:
    """How the judge's lines begin that are about what differs."""
    if differs is None:
        return ()
    return (*(f"config {key}: " for key in differs.config), *(f"/{path}: " for path in differs.tree))
