"""Layers of a build as they are packed: many of them, and equal ones among them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

import jettison
from jettison import BuildRequest, OutputSpec
from jettison.app.packing import PACKERS, shared_out
from jettison.record.model import AnyEvent, StepFinished
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


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_a_layer_is_there_when_its_step_ends(project: Project, compression: str) -> None:
    """Its files are not read a second time for it."""
    first = "FROM busybox AS first\nRUN echo one > /one\n"
    last = "FROM busybox AS last\nCOPY file /\nWORKDIR /made\nRUN echo > /two\nCOPY --from=first /one /\n"
    project.base().files(Dockerfile=first + last, file="file")
    output = OutputSpec(type="oci", dest=os.path.join(project.out, "image.tar"), compression=compression)
    request = BuildRequest(
        context=project.context,
        build_contexts={"busybox": f"oci-layout://{project.bases['busybox']}"},
        outputs=(output,),
        store=project.store,
    )
    store, blobs = os.path.join(project.store, "store"), []

    def listen(event: AnyEvent) -> None:
        if isinstance(event, StepFinished) and event.step.startswith("last."):
            with closing(sqlite3.connect(os.path.join(store, "index.sqlite"))) as index:
                packed = {digest for (digest,) in index.execute("SELECT digest FROM packed")}
            blobs.append(sum(os.path.exists(f"{store}/blobs/sha256/{digest[7:]}") for digest in packed))

    image = jettison.build(request, on_event=listen).images[0]
    assert blobs == [1, 2, 3, 4]
    assert all(layer.digest for layer in image.layers[-4:])
