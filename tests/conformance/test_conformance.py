"""Every case of the reference's paragraphs, built, by buildah too; and the page that lists them is up to date."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import peers
from conformance import case as cases
from conformance import peer, table
from conformance.expect import faults
from conformance.run import Running, World
from differential import records

NAMES = cases.names()
BOTH = [name for name in NAMES if cases.load(name).buildah]


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, world: World, base: records.Base, tmp_path: object) -> None:
    case = cases.load(name)
    if case.root and os.geteuid() != 0:
        pytest.skip("the context has files of other owners: only root can make them")
    with Running(case, world, os.path.join(str(tmp_path), "case")) as running:
        for number, build in enumerate(case.builds()):
            outcome = running.build(build)
            found = faults(build, outcome, running.text)
            if outcome.image is not None and case.buildah and number == 0:
                found += peer.faults(case, outcome.image, base)
            assert not found, f"{name}, build {number}: {case.says}\n" + "\n".join(found)


@pytest.mark.parametrize("name", BOTH)
def test_record_belongs_to_its_case(name: str, base: records.Base) -> None:
    records.assert_belongs(peer.subject(cases.load(name)), base)


@pytest.mark.parametrize("name", [name for name in BOTH if cases.load(name).differs])
def test_difference_from_buildah_has_a_reason_and_is_real(name: str, base: records.Base) -> None:
    records.assert_differs(peer.subject(cases.load(name)), base)


@pytest.mark.peer
@pytest.mark.root
@pytest.mark.parametrize("name", [name for name in BOTH if records.is_due(name)])
def test_fresh_build_of_buildah(
    name: str, world: World, buildah: peers.Buildah, base: records.Base, tmp_path: object
) -> None:
    case = cases.load(name)
    subject, theirs = peer.subject(case), os.path.join(str(tmp_path), "theirs.tar")
    folder = os.path.join(str(tmp_path), "case")
    records.assert_still_made(subject, base, theirs, lambda: peer.build(case, world, buildah, folder, theirs))
    if "failed" not in subject.written():
        with Running(case, world, os.path.join(str(tmp_path), "ours")) as running:
            assert running.build(case).code == 0
        assert not records.ocidiff(subject, theirs, running.out)


def test_there_are_enough_cases() -> None:
    assert len(NAMES) >= 300


def test_every_case_says_what_it_shows_and_expects_something() -> None:
    assert [name for name in NAMES if not cases.load(name).says.endswith(".")] == []
    assert [name for name in NAMES if not all(map(_expects, cases.load(name).builds()))] == []


def _expects(build: cases.Build) -> bool:
    return build.only == [] or build.layers == 0 or any(getattr(build, key) for key in cases.EXPECTATIONS)


def test_page_lists_every_case() -> None:
    with open(table.PAGE, encoding="utf-8") as file:
        assert file.read() == table.page(), "run tests/conformance/table.py"


def test_table_runs_as_a_script(tmp_path: object) -> None:
    out = os.path.join(str(tmp_path), "page.md")
    subprocess.run([sys.executable, table.__file__, out], check=True)
    with open(out, encoding="utf-8") as file:
        assert file.read() == table.page()
