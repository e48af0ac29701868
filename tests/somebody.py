"""Builds by root and by an ordinary user alike: a test that takes `somebody` runs once for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from project import Project
from users import User


class Somebody(NamedTuple):
    """Who builds. `give` makes what a test has written theirs."""

    project: Project
    give: Callable[[], None]

    def dockerfile(self, *lines: str, name: str = "Dockerfile") -> Somebody:
        """Write a Dockerfile whose first stage is on busybox and named `first`."""
        self.project.write(name, "\n".join(("FROM busybox AS first", *lines, "")))
        self.give()
        return self

    def file(self, path: str, text: str, mode: int = 0o644) -> str:
        full = os.path.join(self.project.folder, path)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(full, mode)
        self.give()
        return full

    def got(self, path: str, *flags: str) -> str:
        """What a build has put at a path."""
        out = os.path.join(self.project.out, "image.tar")
        if os.path.exists(out):
            os.unlink(out)
        return self.project.image(*flags).file(path).decode()


@pytest.fixture(params=["root", pytest.param("ordinary user", marks=(pytest.mark.root, pytest.mark.rootless))])
def somebody(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[Somebody]:
    """Root, then an ordinary user; without root whoever runs the suite."""
    if request.param == "root":
        yield Somebody(Project(str(tmp_path)).base(), lambda: None)
        return
    user: User = request.getfixturevalue("ordinary_user")
    theirs = user.project(f"mounts-{os.urandom(4).hex()}")
    user.base(theirs)
    yield Somebody(theirs, lambda: user.own(theirs.folder))
