"""Whatever was built before, and wherever its cache comes from: an image is the one that a cold build makes, digest and
all.

`JETTISON_REBUILDS` is the number of projects; `scripts/soak` sets a larger one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import NamedTuple

import projects
import pytest
import rebuilds
from hypothesis import HealthCheck, Phase, given, note, settings
from projects import Edit, Project

import images
from caches import Built, Machines
from jettison.app.request import CacheSource, CacheTarget
from jettison.base.errors import JettisonError

pytestmark = pytest.mark.root

EXAMPLES = int(os.environ.get("JETTISON_REBUILDS", "6"))


class Outcome(NamedTuple):
    """How a build ended: the digest of its archive, or the kind of its error."""

    digest: str
    error: str = ""
    built: Built | None = None


class Site:
    """One project on machines that are made by being named."""

    def __init__(self, folder: str, project: Project) -> None:
        self.machines = Machines(folder)
        self.cache = os.path.join(folder, "cache")
        self.project = project
        projects.write(self.machines.context, project.files)

    def build(self, machine: str, **more: object) -> Outcome:
        text, args = self.project.dockerfile, self.project.args
        try:
            built = self.machines.archive(
                machine, compression="uncompressed", dockerfile_text=text, build_args=args, **more
            )
        except JettisonError as error:
            return Outcome("", f"{type(error).__name__}: {error.message}")
        return Outcome(built.digest, built=built)

    def edit(self, edit: Edit) -> None:
        projects.apply(self.machines.context, self.project, edit)
        self.project = edit.after

    def write_anew(self, project: Project) -> None:
        projects.empty(self.machines.context)
        projects.write(self.machines.context, project.files)
        self.project = project


@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate) if EXAMPLES < 20 else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
@given(rebuilds.changes())
def test_every_build_makes_what_a_cold_one_makes(change: tuple[Project, Edit]) -> None:
    project, edit = change
    note(f"{project.dockerfile}\n{project.files}\n{project.args}\n--- {edit.name}: {edit}\n{edit.after.dockerfile}")
    folder = tempfile.mkdtemp()
    try:
        _go_through(Site(folder, project), edit)
    finally:
        shutil.rmtree(folder)


def _go_through(site: Site, edit: Edit) -> None:
    before = site.project
    cold = site.build("here")
    _same(cold, site.build("here"), "warm", ran=False)
    site.edit(edit)
    to = CacheTarget(type="local", dest=site.cache, mode="max")
    rebuilt = site.build("here", to=to)
    anew = site.build("other")
    _same(anew, rebuilt, f"after {edit.name}", ran=None if edit.name != "times" else False)
    if anew.built is not None:
        of = CacheSource(type="local", src=site.cache)
        _same(anew, site.build("third", of=of), "from an imported cache", ran=False)
    site.write_anew(before)
    _same(cold, site.build("third"), "and back again, on what was imported")


def _same(expected: Outcome, found: Outcome, when: str, *, ran: bool | None = None) -> None:
    """The same image, or no image in both; with `ran` False no step ran."""
    assert bool(found.error) == bool(expected.error), f"{when}: {found.error or 'built'}, not {expected.error}"
    if found.built is None or expected.built is None:
        return
    if found.digest != expected.digest:
        note("\n".join([*_differences(expected.built, found.built), *map(str, found.built.verdicts.items())]))
    assert found.digest == expected.digest, when
    if ran is False:
        assert found.built.ran == [], when


def _differences(expected: Built, found: Built) -> list[str]:
    left, right = expected.image, found.image
    keys = [key for key in left.config if left.config[key] != right.config.get(key)]
    lines = [f"config {key}: {left.config[key]} {right.config.get(key)}" for key in keys]
    for number, (one, other) in enumerate(zip(left.layers, right.layers, strict=False)):
        lines += [f"layer {number}: - {member}" for member in _members(one) - _members(other)]
        lines += [f"layer {number}: + {member}" for member in _members(other) - _members(one)]
    return lines


def _members(layer: bytes) -> set[str]:
    """The entries of a layer, with the beginning of their bytes."""
    shown = ((member._replace(data=memoryview(b"")), bytes(member.data[:60])) for member in images.members(layer))
    return {f"{member} {data!r}" for member, data in shown}
