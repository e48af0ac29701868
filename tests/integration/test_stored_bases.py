"""An image of the local store as a base: what was named here is built on, and written out, like one from elsewhere."""

from __future__ import annotations

import images
from project import Project, project

__all__ = ["project"]

MADE = "FROM app\nCOPY added /added\n"


def test_image_on_a_stored_one_is_exported(project: Project) -> None:
    project.base("busybox").files(Dockerfile="FROM busybox\n", added="new\n")
    project.build("--tag=app").ok()
    project.files(Dockerfile=MADE)
    image = project.image()
    assert image.file("added") == b"new\n"
    assert "bin/busybox" in image.tree()


def test_stored_base_keeps_its_blobs(project: Project) -> None:
    """A base's layer that was fetched once is written out as it came, whatever name it is built on by."""
    project.base("busybox").files(Dockerfile="FROM busybox\n", added="new\n")
    before = project.image("--tag=app")
    project.files(Dockerfile=MADE)
    after = project.image()
    assert after.manifest["layers"][0] == before.manifest["layers"][0]
    assert images.runtime_config(after.config) == images.runtime_config(before.config)
