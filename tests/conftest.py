"""What all tests share: the switch that writes golden files, and what is left out for an ordinary user."""

import getpass
import glob
import os
import shutil
import subprocess
import tempfile

import pytest

from golden import Golden

KEPT_RUNS = 2  # beside the one that begins: pytest keeps three


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/goldens instead of comparing with it")


def pytest_sessionstart(session: pytest.Session) -> None:
    """An ordinary user's stores have files of subordinate ids, which pytest cannot remove when it takes the folders of
    old runs away: done here, as their root.
    """
    if os.getuid() == 0 or hasattr(session.config, "workerinput") or shutil.which("unshare") is None:
        return
    folder = os.path.join(tempfile.gettempdir(), f"pytest-of-{getpass.getuser()}")
    runs = [run for run in glob.glob(f"{folder}/pytest-*") if not os.path.islink(run)]
    old = [*glob.glob(f"{folder}/garbage-*"), *sorted(runs, key=os.path.getmtime)[:-KEPT_RUNS]]
    if old:
        subprocess.run(["unshare", "--map-auto", "--map-root-user", "rm", "-rf", *old], check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where the suite is run by an ordinary user."""
    if os.getuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares a text with a file of tests/goldens."""
    return Golden(update=request.config.getoption("--update-golden"))
