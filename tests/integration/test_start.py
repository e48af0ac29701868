"""The installed program takes its modules from one file: what `python -v` says of who loaded them."""

import glob
import os
import re
import shutil
import subprocess

import pytest

from users import venv

# Imported before there is a bundle: by the script that pip wrote, and to have one.
BEFORE = {"jettison", "jettison.cli", "jettison.cli.main", "jettison.cli.bundle"}
IMPORT = re.compile(r"^import '(?P<name>[\w.]+)' # <(?P<loader>[\w.]+) object", re.MULTILINE)


@pytest.fixture
def installed(tmp_path) -> str:
    """The package as pip installed it, in a directory of the test's own."""
    (found,) = glob.glob(f"{venv()}/lib/python3*/site-packages/jettison")
    copied = str(tmp_path / "installed" / "jettison")
    shutil.copytree(found, copied, ignore=shutil.ignore_patterns("*.modules"))
    return copied


def run(tmp_path, installed: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`jettison WORDS`; what Python says of its imports is in stderr."""
    dropped = ("PYTHON", "JETTISON_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment = {**kept, "HOME": str(tmp_path), "PYTHONPATH": os.path.dirname(installed)}
    command = [os.path.join(venv(), "bin", "python"), "-v", os.path.join(venv(), "bin", "jettison"), *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def loaders(said: str) -> dict[str, str]:
    """Who loaded each module of ours."""
    found = {match["name"]: match["loader"] for match in IMPORT.finditer(said)}
    return {name: loader for name, loader in found.items() if name.startswith("jettison") and name not in BEFORE}


def bundled(tmp_path, installed: str, *words: str) -> set[bool]:
    return {
        loader == "jettison.cli.bundle.Loader" for loader in loaders(run(tmp_path, installed, *words).stderr).values()
    }


@pytest.mark.network
def test_the_second_start_reads_its_modules_from_one_file(tmp_path, installed: str) -> None:
    assert bundled(tmp_path, installed, "images") == {False}
    (path,) = glob.glob(f"{installed}/cli/__pycache__/*.modules")
    written = os.stat(path)
    assert bundled(tmp_path, installed, "images") == {True}
    assert bundled(tmp_path, installed, "du") == {True, False}
    assert bundled(tmp_path, installed, "images") == bundled(tmp_path, installed, "du") == {True}
    assert os.stat(path).st_ino != written.st_ino


@pytest.mark.network
def test_a_changed_source_is_seen_at_once_and_taken_in(tmp_path, installed: str) -> None:
    run(tmp_path, installed, "images")
    with open(f"{installed}/cli/images_command.py", "a", encoding="utf-8") as file:
        file.write("print('changed')\n")
    said = run(tmp_path, installed, "images")
    assert said.stdout.startswith("changed\n")
    assert loaders(said.stderr)["jettison.cli.images_command"] != "jettison.cli.bundle.Loader"
    said = run(tmp_path, installed, "images")
    assert said.stdout.startswith("changed\n")
    assert set(loaders(said.stderr).values()) == {"jettison.cli.bundle.Loader"}
