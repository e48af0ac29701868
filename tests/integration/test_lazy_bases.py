"""A base in a registry of which a build needs the rows alone: they are read while the blob comes in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

import images
from bases import assemble
from bases.layout import Image, Layer
from bases.machine import architecture
from project import Project, project
from registries import serving

__all__ = ["project"]
pytestmark = pytest.mark.peer


@pytest.fixture
def registry(tmp_path) -> Iterator[str]:
    with serving(str(tmp_path)) as address:
        yield address


def push(layout: str, reference: str) -> None:
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    subprocess.run([*words, f"oci:{layout}", f"docker://{reference}"], check=True, capture_output=True)


def layered(folder: str, other: str = "") -> str:
    """An image of three layers, of which the upper ones take directories of the lowest for granted. `other`: what its
    config says of the last one in place of the truth.
    """
    image = Image(folder, architecture())
    for number in range(3):
        layer = Layer(f"layer {number}")
        if number == 0:
            layer.directory("opt/deep", 0o700)
            layer.symlink("link", "opt/deep")
        layer.file(f"opt/deep/{number}", os.urandom(200_000))
        for parent in ("opt", "opt/deep") if number else ():
            layer.entries.pop(parent, None)
        image.layer(layer)
    if other:
        image.diff_ids[-1] = other
    image.finish("layered", {})
    return folder


def stored(project: Project) -> list[str]:
    """What the store has of bases' layers."""
    return [
        name for name in os.listdir(os.path.join(project.store, "store", "snapshots")) if name.startswith("sha256-")
    ]


def test_a_copy_onto_a_base_needs_its_rows_alone(project: Project, registry: str) -> None:
    push(assemble.base("busybox"), f"{registry}/base")
    project.files(Dockerfile=f"FROM {registry}/base\nCOPY file /bin/made\n", file="new\n")
    project.build("--tag=app").ok()
    (kept,) = stored(project)
    assert kept.endswith(".rows")
    image = project.image()
    assert image.file("bin/made") == b"new\n"
    assert image.tree()["bin"]["mode"] == "0755"
    project.jettison("run", "app", "cat", "/bin/made").ok()


def test_layers_that_take_directories_for_granted(project: Project, registry: str, tmp_path) -> None:
    push(layered(str(tmp_path / "layered")), f"{registry}/layered")
    project.files(Dockerfile=f"FROM {registry}/layered\nCOPY file /link/made\n", file="new\n")
    tree = project.image().tree()
    assert tree["opt/deep"]["mode"] == "0700"
    assert sorted(path for path in tree if path.startswith("opt/deep/")) == [
        "opt/deep/0",
        "opt/deep/1",
        "opt/deep/2",
        "opt/deep/made",
    ]


def test_a_base_that_nothing_stands_on_is_not_fetched(project: Project, registry: str) -> None:
    push(assemble.base("busybox"), f"{registry}/base")
    project.files(Dockerfile=f"FROM {registry}/base\nENV here=1\n")
    project.build("--tag=app").ok()
    assert stored(project) == []


def test_links_alone_need_nothing_of_a_base(project: Project, registry: str) -> None:
    push(assemble.base("busybox"), f"{registry}/base")
    project.files(Dockerfile=f"FROM {registry}/base\nCOPY --link file /bin/made\n", file="new\n")
    project.build("--tag=app").ok()
    assert stored(project) == []
    image = project.image()
    assert stored(project) == []
    assert image.file("bin/made") == b"new\n"
    assert "bin/busybox" in image.tree()
    project.jettison("run", "app", "cat", "/bin/made").ok()


def test_a_link_says_nothing_of_the_root(project: Project) -> None:
    project.base()
    project.files(
        Dockerfile="""\
FROM busybox AS odd
RUN chmod 1751 /

FROM odd AS linked
COPY --link file /a/made

FROM linked AS untouched
RUN true

FROM linked
COPY --link file /b/made
RUN --mount=type=bind,from=linked,target=/mnt,readonly --mount=type=bind,from=untouched,target=/media,rw \\
    stat -c %a / /mnt /media > /seen
""",
        file="new\n",
    )
    image = project.image()
    assert image.file("seen") == b"1751\n" * 3
    assert [member.path for member in images.members(image.layers[-1])] == ["seen"]


def test_a_base_is_fetched_in_its_own_step(project: Project, registry: str) -> None:
    push(assemble.base("busybox"), f"{registry}/base")
    project.files(Dockerfile=f"FROM {registry}/base\nRUN true\nRUN exit 3\n")
    assert project.build("--tag=app").code != 0
    (kept,) = stored(project)
    assert not kept.endswith(".rows")


def test_a_layer_that_is_no_archive_is_told_and_leaves_nothing(project: Project, registry: str, tmp_path) -> None:
    push(layered(str(tmp_path / "layered"), other="sha256:" + "1" * 64), f"{registry}/wrong")
    project.files(Dockerfile=f"FROM {registry}/wrong\nCOPY file /made\n", file="new\n")
    for _ in range(2):  # the blob is here by then, and is the manifest's: it is no better
        assert "not what it should be" in project.build("--tag=app").stderr
        assert len(stored(project)) < 3


def test_a_layer_packed_anew_has_directories_as_those_below_it(project: Project, tmp_path) -> None:
    project.files(Dockerfile="FROM layered\n")
    archive = str(tmp_path / "archive.tar")
    output = f"--output=type=oci,dest={archive},rewrite-timestamp=true"
    layout = layered(str(tmp_path / "layered"))
    words = (f"--build-context=layered=oci-layout://{layout}", "--build-arg=SOURCE_DATE_EPOCH=1000")
    project.build(output, *words).ok()
    assert images.read(archive).tree()["opt/deep"]["mode"] == "0700"
