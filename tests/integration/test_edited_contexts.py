"""A file of a context is edited, and the rest is not copied again: the snapshots share what was not touched."""

from __future__ import annotations

import os

from project import Project
from somebody import Somebody, somebody
from users import ordinary_user

__all__ = ["ordinary_user", "somebody"]


def shared(store: str, path: str) -> list[int]:
    """How many snapshots share the file at `path`, of each that has it."""
    top = os.path.join(store, "store", "snapshots")
    found = (os.path.join(top, name, "files", path) for name in sorted(os.listdir(top)))
    return [os.stat(file).st_nlink for file in found if os.path.exists(file)]


def edit(project: Project, name: str, text: str) -> None:
    """Write a file anew that is there; whose it is stays."""
    with open(os.path.join(project.context, name), "w", encoding="utf-8") as file:
        file.write(text)


def test_what_was_not_edited_is_shared_by_the_snapshots(somebody: Somebody) -> None:
    project = somebody.project
    somebody.file("context/edited", "one\n")
    somebody.file("context/kept", "kept\n")
    somebody.dockerfile("COPY . /srv/")
    assert somebody.got("srv/edited") == "one\n"
    for text in ("two\n", "three\n"):
        edit(project, "edited", text)
        assert somebody.got("srv/edited") == text
        assert somebody.got("srv/kept") == "kept\n"
    assert shared(project.store, "srv/kept") == [3, 3, 3]
    assert shared(project.store, "srv/edited") == [1, 1, 1]
    edit(project, "kept", "kept\n")  # touched: nobody knows that it is the same
    edit(project, "edited", "four\n")
    assert somebody.got("srv/kept") == "kept\n"
    assert sorted(shared(project.store, "srv/kept")) == [1, 3, 3, 3]
