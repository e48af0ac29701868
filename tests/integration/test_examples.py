"""The examples build from the assembled bases and run, as root and as an ordinary user, with the same result."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import urllib.request

import pytest

import images
from project import Project, project
from users import ROOT, User, ordinary_user

__all__ = ["ordinary_user", "project"]

BASES = ("node:14.4.0", "node:14.4.0-alpine")
# Where the package managers keep times of day: their bytes differ from one minute to the next, with any builder.
CLOCKWORK = (
    "home/node/.cache/",
    "home/node/.yarn",
    "home/node/.config",
    "home/node/app/node_modules/.yarn-integrity",
    "tmp/",
)


def example(name: str) -> str:
    return os.path.join(ROOT, "examples", name)


def steady(image: images.Image) -> images.Tree:
    """The tree without what a clock decides."""
    return {path: node for path, node in images.plain(image.tree()).items() if not path.startswith(CLOCKWORK)}


def serve_and_ask(project: Project) -> str:
    """The built example under `jettison run`, asked once it says that it listens, and ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [*project.program, "run", "--env", f"PORT={port}", "--env", "HOST=127.0.0.1", "hello"]
    environment = project.environment()
    with subprocess.Popen(words, env=environment, cwd=project.context, stdout=subprocess.PIPE, text=True) as process:
        patience = threading.Timer(60, process.kill)
        patience.start()
        try:
            assert process.stdout
            assert process.stdout.readline() == f"listening on 127.0.0.1:{port}\n"
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://127.0.0.1:{port}/"
            ) as answer:
                return str(answer.read().decode())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            patience.cancel()


@pytest.mark.network
@pytest.mark.root
@pytest.mark.rootless
def test_node_example_is_the_same_for_root_and_an_ordinary_user(project: Project, ordinary_user: User) -> None:
    theirs = ordinary_user.project("node-example")
    context = os.path.join(ordinary_user.home, "node-typescript")
    shutil.copytree(example("node-typescript"), context, dirs_exist_ok=True)
    ordinary_user.own(context)
    for name in BASES:
        project.base(name)
        ordinary_user.base(theirs, name)
    ours = project.image("--tag=hello", context=example("node-typescript"))
    others = theirs.image("--tag=hello", context=context)
    assert ours.settings() == others.settings()
    assert images.differences(steady(ours), steady(others)) == []
    assert ours.tree()["home/node/app/dist/index.js"]["uid"] == 1000
    for built in (project, theirs):
        assert '"user":1000' in serve_and_ask(built)


@pytest.mark.network
def test_node_example_again_is_all_cache_hits(project: Project) -> None:
    for name in BASES:
        project.base(name)
    folder = os.path.join(project.folder, "copy")
    shutil.copytree(example("node-typescript"), folder)
    project.context = folder
    project.build().ok()
    with open(os.path.join(folder, "docs", "server.md"), "a", encoding="utf-8") as file:
        file.write("A page that the build context does not hold.\n")
    assert {step["verdict"] for step in project.record()["steps"]} <= {"cached", "unneeded"}


@pytest.mark.network
def test_python_example_runs(project: Project) -> None:
    project.base("python:3-slim")
    project.build("--tag=wheel", context=example("python-wheel")).ok()
    said = project.jettison("run", "wheel").ok().stdout
    assert "hello from a wheel" in said
    assert "uid 1000" in said
