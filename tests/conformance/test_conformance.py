"""Every case of the reference's paragraphs, built; and the page that lists them is up to date."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance import case as cases
from conformance import table
from conformance.expect import faults
from conformance.run import Running, World

NAMES = cases.names()


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, world: World, tmp_path: object) -> None:
    case = cases.load(name)
    if case.root and os.geteuid() != 0:
        pytest.skip("the context has files of other owners: only root can make them")
    with Running(case, world, os.path.join(str(tmp_path), "case")) as running:
        for number, build in enumerate(case.builds()):
            found = faults(build, running.build(build), running.text)
            assert not found, f"{name}, build {number}: {case.says}\n" + "\n".join(found)


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
