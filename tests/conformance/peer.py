"""A case built by buildah, and how its record is named: see differential/records.py."""

from __future__ import annotations

import os

import msgspec

import images
import peers
from conformance import node
from conformance.case import CASES, Case
from conformance.run import Running, World
from differential import records

_INPUTS = (
    *("dockerfile", "dockerfile_at", "context", "archives", "setup", "flags", "variables", "http", "images", "dirs"),
)


def subject(case: Case) -> records.Subject:
    """What a record of the case is written of."""
    found = records.Subject(
        name=case.name,
        page=os.path.join(CASES, f"{case.name}.json"),
        inputs=[msgspec.to_builtins({key: getattr(case, key) for key in _INPUTS})],
        files="",
        has_run="RUN" in case.dockerfile or bool(case.images),
        differs=None,
    )
    if case.differs is None:
        return found
    there = (found.record() or {}).get("tree", {})
    tree = {path: _node(line, there.get(path, {})) for path, line in case.differs.tree.items()}
    config = {key: value or None for key, value in case.differs.config.items()}
    return found._replace(differs=records.Differs(case.differs.reason, None, config, tree))


def _node(line: str, was: images.Node) -> images.Node | None:
    """What a line makes of buildah's node, in the form of `images.plain`; None for an empty line."""
    if not line:
        return None
    said = node.parse(line)
    return {**(was if was.get("type") == said.type else {}), **node.plain(said)}


def faults(case: Case, image: images.Image, base: records.Base) -> list[str]:
    """What of our image is not as buildah's, and not known to differ."""
    found = subject(case)
    return [] if "failed" in found.written() else records.faults(found, image, base)


def build(case: Case, world: World, buildah: peers.Buildah, folder: str, out: str) -> None:
    """Build it in a folder that is made, and write the image to `out`. Raises PeerError."""
    with Running(case, world, folder) as running:
        running.lay_out(case)
        for name in case.images:
            buildah.load(running.places[name], name)
        buildah.build(running.context, out, [running.text(flag) for flag in case.flags], case.variables)
