"""The installed program takes its modules from one file: what `python -v` says of who loaded them."""

import glob
import os
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

from users import venv

# Imported before there is a bundle: by the script that pip wrote, and to have one.
BEFORE = {"jettison", "jettison.cli", "jettison.cli.main", "jettison.cli.bundle"}
IMPORT = re.compile(r"^import '(?P<name>[\w.]+)' # <(?P<loader>[\w.]+) object", re.MULTILINE)


class Installed(NamedTuple):
    """The package as pip installed it, in a directory of the test's own, and the environment that it is run in."""

    package: str
    environment: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`jettison WORDS`; what Python says of its imports is in stderr."""
        dropped = ("PYTHON", "JETTISON_", "XDG_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        path = os.path.dirname(self.package)
        variables = {**kept, "HOME": path, "JETTISON_HOME": f"{path}/home", "PYTHONPATH": path}
        command = [f"{self.environment}/bin/python", "-v", f"{self.environment}/bin/jettison", *words]
        return subprocess.run(command, env=variables, check=True, capture_output=True, text=True)

    def bundled(self, *words: str) -> set[bool]:
        """Whether the bundle's loader loaded what `jettison WORDS` imported."""
        return {loader == "jettison.cli.bundle.Loader" for loader in loaders(self.run(*words).stderr).values()}


@pytest.fixture
def installed(tmp_path) -> Installed:
    environment = venv()
    (found,) = glob.glob(f"{environment}/lib/python3*/site-packages/jettison")
    copied = str(tmp_path / "jettison")
    os.makedirs(tmp_path / "home")  # else it is the program that changes a directory of its sys.path
    shutil.copytree(found, copied, ignore=shutil.ignore_patterns("*.modules"))
    return Installed(copied, environment)


def loaders(said: str) -> dict[str, str]:
    """Who loaded each module of ours."""
    found = {match["name"]: match["loader"] for match in IMPORT.finditer(said)}
    return {name: loader for name, loader in found.items() if name.startswith("jettison") and name not in BEFORE}


@pytest.mark.network
def test_the_second_start_reads_its_modules_from_one_file(installed: Installed) -> None:
    assert installed.bundled("images") == {False}
    (path,) = glob.glob(f"{installed.package}/cli/__pycache__/*.modules")
    written = os.stat(path)
    assert installed.bundled("images") == {True}
    assert installed.bundled("du") == {True, False}
    assert installed.bundled("images") == installed.bundled("du") == {True}
    assert os.stat(path).st_ino != written.st_ino


@pytest.mark.network
def test_a_changed_source_is_seen_at_once_and_taken_in(installed: Installed) -> None:
    installed.run("images")
    with open(f"{installed.package}/cli/images_command.py", "a", encoding="utf-8") as file:
        file.write("print('changed')\n")
    said = installed.run("images")
    assert said.stdout.startswith("changed\n")
    assert loaders(said.stderr)["jettison.cli.images_command"] != "jettison.cli.bundle.Loader"
    said = installed.run("images")
    assert said.stdout.startswith("changed\n")
    assert set(loaders(said.stderr).values()) == {"jettison.cli.bundle.Loader"}
