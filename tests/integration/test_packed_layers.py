"""Layers of a build as they are packed: many of them, and equal ones among them."""

from __future__ import annotations

from jettison.app.packing import PACKERS, shared_out
from project import Project, project

__all__ = ["project"]


def test_layers_are_shared_out_evenly_and_each_once() -> None:
    names = [f"layer {number}" for number in range(2 * PACKERS + 1)]
    groups = shared_out(names)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert {len(group) for group in groups} == {2, 3}
    assert shared_out(["one"]) == [("one",)]
    assert shared_out([]) == []


def test_many_layers_two_of_them_equal(project: Project) -> None:
    steps = [f"COPY file /{number}\n" for number in range(10)]
    steps += ["COPY file /twice\n", *(f"COPY file /{number}\n" for number in range(10, 13)), "COPY other /twice\n"]
    project.files(Dockerfile="FROM scratch\n" + "".join(steps) + "COPY file /twice\n", file="same", other="else")
    image = project.image()
    digests = [layer["digest"] for layer in image.manifest["layers"]]
    assert len(digests) == 16
    assert len(set(digests)) == 15
    assert digests[10] == digests[15]
    assert {image.file(str(number)) for number in range(13)} == {b"same"}
