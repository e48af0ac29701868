"""A project in a folder of its own: files in, the installed `jettison` run on it, the outcome out.

Each has its own store and its own home, so that nothing of the machine's user gets in, and nothing gets out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

import images
from bases import assemble

LIMIT_SECONDS = 300  # no build of the suite takes as long: what does, hangs


class Outcome(NamedTuple):
    """How a run of the command line ended."""

    code: int
    stdout: str
    stderr: str

    def ok(self) -> Outcome:
        """Itself, if the exit code is 0; otherwise the test fails with what was printed."""
        assert self.code == 0, f"exit code {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        return self


class Project:
    """A build context and a store. `prefix` runs the program as somebody else, or in something else."""

    def __init__(self, folder: str, *, program: tuple[str, ...] = (), prefix: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.context = os.path.join(folder, "context")
        self.store = os.path.join(folder, "store")
        self.out = os.path.join(folder, "out")
        self.home = os.path.join(folder, "home")
        self.program = (*prefix, *(program or installed()))
        self.bases: dict[str, str] = {}
        for path in (self.context, self.out, self.home):
            os.makedirs(path, exist_ok=True)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> str:
        """A file of the context, with the directories that it needs; its full path."""
        full = os.path.join(self.context, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(full, mode)
        return full

    def files(self, **contents: str | bytes) -> Project:
        """Several files at once; a key's double underscore stands for a dot, so that `a__txt` is a.txt."""
        for name, content in contents.items():
            self.write(name.replace("__", "."), content)
        return self

    def base(self, name: str = "busybox") -> Project:
        """Let FROM NAME mean the assembled base of that name."""
        self.bases[name] = assemble.base(name)
        return self

    def jettison(
        self, *words: str, stdin: bytes = b"", variables: dict[str, str] | None = None, folder: str | None = None
    ) -> Outcome:
        """Run the command line in the context's folder, or in another one."""
        done = subprocess.run(
            [*self.program, *words],
            cwd=folder or self.context,
            env={**self.environment(), **(variables or {})},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
        return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def environment(self) -> dict[str, str]:
        """What the program sees of the environment: the machine's, without what a person set for them."""
        dropped = ("JETTISON_", "DOCKER_", "BUILDKIT_", "BUILDX_", "SOURCE_DATE_EPOCH", "XDG_", "PYTHON")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        return {**kept, "HOME": self.home, "JETTISON_HOME": self.store, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}

    def build(self, *flags: str, context: str | None = None, variables: dict[str, str] | None = None) -> Outcome:
        """`jettison build` of the context, with the bases as named contexts and plain progress."""
        named = [f"--build-context={name}=oci-layout://{layout}" for name, layout in self.bases.items()]
        words = ("build", "--progress=plain", *named, *flags, context or self.context)
        return self.jettison(*words, variables=variables)

    def image(self, *flags: str, context: str | None = None) -> images.Image:
        """Build it, write it as an OCI archive, and read that with the suite's own reader."""
        path = os.path.join(self.out, "image.tar")
        self.build(f"--output=type=oci,dest={path}", *flags, context=context).ok()
        return images.read(path)

    def record(self, *flags: str, context: str | None = None) -> dict[str, Any]:
        """Build it, and return the build's record as plain data."""
        path = os.path.join(self.out, "metadata.json")
        self.build(f"--metadata-file={path}", *flags, context=context).ok()
        with open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)["jettison.record"]
        return found


def installed() -> tuple[str, ...]:
    """The console script beside this Python, as a user calls it."""
    script = os.path.join(os.path.dirname(sys.executable), "jettison")
    return (script,) if os.path.exists(script) else (sys.executable, "-m", "jettison.cli.main")


@pytest.fixture
def project(tmp_path: object) -> Project:
    """A project of this test's own."""
    return Project(str(tmp_path))
