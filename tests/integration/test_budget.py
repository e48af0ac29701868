"""What a build with nothing to do imports: the lean part of the standard library, msgspec, and what is ours.

Read from the wheel as `pip install` puts it into a clean environment of Debian's Python.
"""

import os
import pty
import shutil
import subprocess

import pytest

from bases import assemble
from users import ROOT, venv

# What the decision names; the rest of the allowed set is what these bring.
NAMED = "import hashlib, json, msgspec, os, sqlite3, sys, threading"
SMALL = frozenset(
    {"__future__", "_bisect", "_locale", "bisect", "contextlib", "errno", "fcntl", "importlib"}
    | {"_sha2", "_sha256", "importlib._bootstrap", "importlib._bootstrap_external", "locale", "signal", "zlib"}
)
HEAVY = (
    *("_hashlib", "asyncio", "dataclasses", "email", "http", "importlib.metadata", "inspect", "logging", "pathlib"),
    *("argparse", "gettext", "random", "rich", "select", "selectors", "shutil", "socket", "ssl", "subprocess"),
    *("tempfile", "typing_extensions", "urllib", "urllib3", "isal", "backports", "unittest", "traceback"),
)
# Of ours, what only a step to be done needs, an output to be written, or a server to be asked.
MISS = frozenset(
    {f"app.{name}" for name in ("bind", "bound", "execute", "exports", "needs", "proof", "remote", "streamed")}
    | {"sandbox.client", "sandbox.spec", "solve.crew", "solve.perform", "solve.why", "tree.passwd", "tree.place"}
    | {"lint.registry", "planning.lower", "planning.mounts", "syntax.nodes", "syntax.parse"}
    | {"registry.client", "registry.complaint", "registry.exchange", "registry.saved"}
)
MOST_MODULES = 110  # of ours: each costs about 0.2 ms
DRIVER = """
import sys
before = set(sys.modules)
from jettison.cli import main
code = main.main(sys.argv[1:])
with open(sys.argv[0] + ".modules", "w", encoding="utf-8") as file:
    file.write("\\n".join(sorted(set(sys.modules) - before)))
sys.exit(code)
"""
TWO_STAGES = (
    "FROM busybox AS build\nCOPY a.txt /a\nRUN cat /a > /b\n"
    'FROM busybox\nCOPY --from=build /b /b\nWORKDIR /srv\nCMD ["cat", "/b"]\n'
)


@pytest.fixture(scope="module")
def python() -> str:
    return os.path.join(venv(), "bin", "python")


@pytest.fixture
def driver(tmp_path) -> str:
    path = str(tmp_path / "driver")
    with open(path, "w", encoding="utf-8") as file:
        file.write(DRIVER)
    return path


def environment(tmp_path) -> dict[str, str]:
    dropped = ("PYTHON", "JETTISON_", "BUILDKIT_", "SOURCE_DATE_EPOCH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "HOME": str(tmp_path), "JETTISON_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"}


def modules(tmp_path, python: str, driver: str, words: list[str], **options) -> set[str]:
    """The modules that the second, idle build had imported at its end."""
    for _ in range(2):
        subprocess.run([python, driver, *words], env=environment(tmp_path), check=True, **options)
    with open(f"{driver}.modules", encoding="utf-8") as file:
        return set(file.read().split("\n"))


def brought(python: str) -> set[str]:
    """The modules that the named ones bring."""
    script = f"{NAMED}\nprint(*sys.modules)"
    return set(subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.split())


def example(tmp_path, name: str) -> list[str]:
    if name == "hello":
        return ["build", os.path.join(ROOT, "examples", "hello")]
    folder = str(tmp_path / "two")
    os.makedirs(folder)
    for file, text in (("Dockerfile", TWO_STAGES), ("a.txt", "a\n"), (".dockerignore", "*.md\n")):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as made:
            made.write(text)
    return ["build", f"--build-context=busybox=oci-layout://{assemble.base('busybox')}", "--tag=two", folder]


@pytest.mark.network
@pytest.mark.parametrize("name", ["hello", "two-stages"])
def test_an_idle_build_imports_what_it_needs(tmp_path, python: str, driver: str, name: str) -> None:
    found = modules(tmp_path, python, driver, example(tmp_path, name), stderr=subprocess.DEVNULL)
    heavy = {module for module in found if module.split(".")[0] in HEAVY or module in HEAVY}
    assert heavy == set()
    own = {module for module in found if module.split(".")[0] in ("jettison", "msgspec")}
    assert found - own - brought(python) <= SMALL
    assert {f"jettison.{name}" for name in MISS} & own == set()
    assert sum(module.startswith("jettison") for module in own) <= MOST_MODULES


@pytest.mark.network
def test_an_idle_build_on_a_terminal_imports_no_more(tmp_path, python: str, driver: str) -> None:
    ours, theirs = pty.openpty()
    try:
        found = modules(tmp_path, python, driver, example(tmp_path, "hello"), stdout=theirs, stderr=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert not {"rich", "urllib3", "asyncio"} & found


@pytest.mark.network
def test_the_wheel_runs_from_anywhere(tmp_path) -> None:
    script = os.path.join(venv(), "bin", "jettison")
    folder = str(tmp_path / "hello")
    shutil.copytree(os.path.join(ROOT, "examples", "hello"), folder)
    words = [script, "build", "--quiet", "--tag=hello", "."]
    done = subprocess.run(words, cwd=folder, env=environment(tmp_path), check=True, capture_output=True, text=True)
    assert done.stdout.startswith("sha256:")
    assert done.stderr == ""
