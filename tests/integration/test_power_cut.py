"""A machine that went down before a build's files were on the disk: what is short is made again, never shipped."""

from __future__ import annotations

import os

import pytest

from jettison.store.snapshots import MADE, MADE_IN
from project import Project, project
from somebody import Somebody, somebody
from users import ordinary_user

__all__ = ["ordinary_user", "project", "somebody"]

EARLIER = "an-earlier-boot"
DOCKERFILE = """\
FROM busybox AS first
COPY kept.txt /kept.txt
RUN echo made > /made
FROM busybox
COPY --from=first /kept.txt /made /shipped/
"""


@pytest.fixture
def built(project: Project) -> Project:
    return built_before(project.base())


def built_before(project: Project) -> Project:
    """The project, built once in a boot that is over."""
    project.files(Dockerfile=DOCKERFILE, kept__txt="kept\n").image()
    for snapshot in snapshots(project):
        mark = os.path.join(snapshot, MADE_IN)
        os.unlink(mark)
        os.symlink(EARLIER, mark)
    return project


def snapshots(project: Project) -> list[str]:
    directory = os.path.join(project.store, "store", "snapshots")
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]


def holding(project: Project, path: str) -> list[str]:
    """The files at `path` of every snapshot that has one."""
    found = [os.path.join(snapshot, "files", path) for snapshot in snapshots(project)]
    return [path for path in found if os.path.exists(path)]


def ours_doubted(project: Project) -> list[str]:
    """The snapshots that steps made, and that are not proved yet."""
    made = [snapshot for snapshot in snapshots(project) if os.path.basename(snapshot).startswith(MADE)]
    marks = [os.path.join(snapshot, MADE_IN) for snapshot in made]
    return [mark for mark in marks if os.path.islink(mark) and os.readlink(mark) == EARLIER]


def blobs(project: Project) -> list[str]:
    directory = os.path.join(project.store, "store", "blobs", "sha256")
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]


def is_document(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(1) == b"{"


def verdicts(project: Project) -> set[str]:
    return {step["verdict"] for step in project.record()["steps"] if step.get("stage")}


def cut_short(path: str) -> None:
    """What a file looks like whose bytes never came to the disk. A new inode: others may have the old one."""
    aside = path + "~"
    status = os.stat(path)
    with open(aside, "wb"):
        os.utime(aside, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.rename(aside, path)


def test_a_short_file_is_made_again_before_it_is_shipped(somebody: Somebody):
    built = built_before(somebody.project)
    somebody.give()
    for path in holding(built, "shipped/made"):
        cut_short(path)
    outcome = built.build(f"--output=type=oci,compression=uncompressed,dest={built.out}/again.tar").ok()
    assert "is not what was written: the machine went down before it was on the disk" in outcome.stderr
    assert built.image("--no-cache").file("shipped/made") == b"made\n"
    assert built.image().file("shipped/made") == b"made\n"


def test_a_short_file_is_not_copied_from(built: Project):
    for path in holding(built, "made"):
        cut_short(path)
    built.write("Dockerfile", DOCKERFILE + "COPY --from=first /made /twice\n")
    assert built.image().file("twice") == b"made\n"


def test_documents_that_are_short_are_had_anew(built: Project):
    before = built.image().config
    documents = [path for path in blobs(built) if is_document(path)]
    assert documents
    for path in documents:
        cut_short(path)
    assert built.image().config == before
    assert verdicts(built) == {"cached"}


def test_what_is_whole_is_read_when_its_bytes_are_needed_and_believed(built: Project):
    assert len(ours_doubted(built)) == 3
    assert verdicts(built) == {"cached"}
    assert len(ours_doubted(built)) == 2  # nobody needs the bytes of the first stage
    built.write("Dockerfile", DOCKERFILE.replace("echo made", "echo more"))
    assert verdicts(built) == {"cached", "ran"}
    assert len(ours_doubted(built)) == 1  # nor those of what the RUN was


def test_a_base_is_unpacked_again_and_then_for_good(built: Project):
    base = next(snapshot for snapshot in snapshots(built) if "sha256-" in snapshot)
    cut_short(os.path.join(base, "files", "bin", "busybox"))
    built.write("Dockerfile", DOCKERFILE.replace("echo made", "echo more"))
    assert built.image().file("shipped/made") == b"more\n"
    assert os.path.getsize(os.path.join(base, "files", "bin", "busybox")) > 0
    assert not os.path.lexists(os.path.join(base, MADE_IN))
