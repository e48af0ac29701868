"""The builders that are compared. Each keeps all its data below one folder, and leaves the machine's own alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import users
from bench import meter


class Job(NamedTuple):
    """One build: the context's folder, and the archive that the image is written to ("" for none)."""

    context: str
    out: str = ""


class Builder(Protocol):
    """A builder with its own store."""

    name: str

    def forget(self, layouts: Mapping[str, str]) -> None:
        """Begin with an empty cache in which there are just the images of these layouts, by name, unpacked."""

    def build(self, job: Job) -> meter.Sample:
        """Build it, and write the image as an OCI archive with gzip where the job wants one. Raises CommandError."""

    def version(self) -> str:
        """For the report."""

    def close(self) -> None:
        """End what runs, and let go of what is mounted."""


def plain_environment() -> dict[str, str]:
    """The machine's, without what a person set for one of the builders or for the compiling of Python's modules."""
    dropped = ("JETTISON_", "DOCKER_", "BUILDKIT_", "BUILDX_", "CONTAINERS_", "SOURCE_DATE_EPOCH", "XDG_", "PYTHON")
    return {key: value for key, value in os.environ.items() if not key.startswith(dropped)}


class Jettison:
    """This project's command line, as `pip install .` puts it: with what it needs, compiled, and nothing more."""

    name = "jettison"

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._store = os.path.join(folder, "store")
        self._log = os.path.join(folder, "log")
        os.makedirs(folder)
        home = os.path.join(folder, "home")
        os.mkdir(home)
        self._variables = {**plain_environment(), "HOME": home, "JETTISON_HOME": self._store, "LC_ALL": "C.UTF-8"}
        self.python = os.path.join(users.venv(), "bin", "python")
        self._program = os.path.join(os.path.dirname(self.python), "jettison")
        meter.run([[self.python, "-m", "compileall", "-q", os.path.join(users.venv(), "lib")]], {}, self._log)

    def forget(self, layouts: Mapping[str, str]) -> None:
        """See Builder. A base is named by building nothing on it, and unpacked by a step that needs its files."""
        shutil.rmtree(self._store, ignore_errors=True)
        for number, (name, layout) in enumerate(layouts.items()):
            for kind, text in (("name", "FROM base\n"), ("unpack", "FROM base\nRUN true\n")):
                context = os.path.join(self._folder, f"{kind}-{number}")
                os.makedirs(context, exist_ok=True)
                with open(os.path.join(context, "Dockerfile"), "w", encoding="utf-8") as file:
                    file.write(text)
                tag = ("-t", name) if kind == "name" else ("-o", "type=cacheonly")
                self._jettison("build", f"--build-context=base=oci-layout://{layout}", *tag, context)

    def build(self, job: Job) -> meter.Sample:
        """See Builder."""
        return self._jettison("build", "--progress=plain", "-t", "made", *_output(job), job.context)

    def record(self, job: Job) -> dict[str, Any]:
        """Build it, and give the build's record: which steps there were, and how long each took."""
        path = os.path.join(self._folder, "metadata.json")
        words = ("build", "--progress=plain", f"--metadata-file={path}", "-t", "made")
        self._jettison(*words, *_output(job), job.context)
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)["jettison.record"]
            return found

    def watched(self, watcher: Sequence[str], job: Job) -> str:
        """Build it below a program that watches, and give what that wrote. Raises CommandError; OSError for nothing."""
        path = os.path.join(self._folder, "watched")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        words = (self._program, "build", "--progress=plain", "-t", "made", *_output(job), job.context)
        meter.run([[*watcher, "--output", path, "--", *words]], self._variables, self._log)
        with open(path, encoding="utf-8") as file:
            return file.read()

    def version(self) -> str:
        """See Builder."""
        return subprocess.run([self._program, "--version"], capture_output=True, text=True, check=True).stdout.split()[
            -1
        ]

    def close(self) -> None:
        """See Builder: nothing of it runs any more."""

    def _jettison(self, *words: str) -> meter.Sample:
        return meter.run([[self._program, *words]], self._variables, self._log)


def _output(job: Job) -> tuple[str, ...]:
    return ("-o", f"type=oci,dest={job.out}") if job.out else ()
