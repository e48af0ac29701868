"""`--platform a,b`: an index of images made in one run; programs for other processors run where an emulator is
registered, and are refused by name where none is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile

import pytest

import emulated
import images
import platforms
from bases.layout import Layer
from project import Outcome, Project, project
from users import User, ordinary_user

__all__ = ["ordinary_user", "project"]

BOTH = "--platform=linux/amd64,linux/arm64"
CROSS = """\
FROM --platform=$BUILDPLATFORM both AS build
RUN echo shared
ARG TARGETARCH
RUN echo for $TARGETARCH > /made
FROM both
WORKDIR /w
COPY --from=build --chown=nobody /made .
"""
NOBODY_RUNS = 999  # an ELF machine that no emulator is registered for


@pytest.fixture
def both(project: Project) -> Project:
    """A project whose base `both` is the assembled one under two platforms' labels."""
    project.bases["both"] = platforms.labelled(os.path.join(project.folder, "both"), ("linux/amd64", "linux/arm64"))
    return project


def index_of(archive: str) -> dict[str, object]:
    """What a peer sees of an OCI archive."""
    done = subprocess.run(["skopeo", "inspect", "--raw", f"oci-archive:{archive}"], capture_output=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def image_for(archive: str, architecture: str, folder: str) -> images.Image:
    """The image that a peer picks from an OCI archive on that architecture."""
    policy = os.path.join(folder, "policy.json")
    with open(policy, "w", encoding="utf-8") as file:
        file.write('{"default": [{"type": "insecureAcceptAnything"}]}')
    out = os.path.join(folder, f"for-{architecture}")
    words = ("--policy", policy, "--override-os=linux", f"--override-arch={architecture}")
    subprocess.run(
        ["skopeo", *words, "copy", "--quiet", f"oci-archive:{archive}", f"oci:{out}"], check=True, capture_output=True
    )
    return images.read(out)


@pytest.mark.peer
def test_an_index_has_the_image_that_each_platform_gets_alone(both: Project) -> None:
    both.files(Dockerfile=CROSS)
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    archive = os.path.join(both.out, "both.tar")
    output = f"--output=type=oci,dest={archive},rewrite-timestamp=true"
    both.build(BOTH, "--tag=app:1", output, variables=epoch).ok()
    index = index_of(archive)
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    entries = {entry["platform"]["architecture"]: entry for entry in index["manifests"]}  # type: ignore[attr-defined]
    assert list(entries) == ["amd64", "arm64"]
    for architecture, entry in entries.items():
        alone = os.path.join(both.out, f"{architecture}.tar")
        words = (f"--platform=linux/{architecture}", f"--output=type=oci,dest={alone},rewrite-timestamp=true")
        both.build(*words, variables=epoch).ok()
        done = subprocess.run(["skopeo", "inspect", "--raw", f"oci-archive:{alone}"], capture_output=True, check=True)
        assert hashlib.sha256(done.stdout).hexdigest() == entry["digest"].partition(":")[2]
        made = image_for(archive, architecture, both.folder)
        assert made.file("w/made") == f"for {architecture}\n".encode()
        assert made.tree()["w/made"]["uid"] == 65534
        assert made.settings()["architecture"] == architecture


def test_steps_for_the_build_platform_run_once(both: Project) -> None:
    both.files(Dockerfile=CROSS)
    record = both.record(BOTH)
    shown = [step["display"] for step in record["steps"] if step["verdict"] == "ran"]
    assert sum("RUN echo shared" in display for display in shown) == 1
    assert "[linux/amd64 build 3/3] RUN echo for $TARGETARCH > /made" in shown
    assert "[linux/amd64->arm64 build 3/3] RUN echo for $TARGETARCH > /made" in shown
    assert record["platforms"] == ["linux/amd64", "linux/arm64"]
    again = both.record(BOTH)
    assert {step["verdict"] for step in again["steps"] if "internal" not in step["display"]} == {"cached"}
    alone = both.record("--platform=linux/arm64")
    assert {step["verdict"] for step in alone["steps"] if "internal" not in step["display"]} == {"cached"}


def test_names_keep_all_platforms(both: Project) -> None:
    both.files(Dockerfile=CROSS)
    said = both.build(BOTH, "--tag=app", f"--iidfile={both.out}/id", "--quiet").ok()
    listed = [line.split()[:3] for line in both.jettison("images").ok().stdout.splitlines()[1:]]
    assert [words[:2] for words in listed] == [["app:latest", "linux/amd64"], ["app:latest", "linux/arm64"]]
    ids = said.stdout.split()
    assert [line.partition(":")[2][:12] for line in ids] == [words[2] for words in listed]
    with open(f"{both.out}/id", encoding="utf-8") as file:
        assert file.read().split() == ids
    both.files(Dockerfile="FROM app\nARG TARGETARCH\nLABEL for=$TARGETARCH\n")
    assert both.image("--platform=linux/arm64").file("w/made") == b"for arm64\n"
    assert both.image("--platform=linux/amd64").file("w/made") == b"for amd64\n"


def test_a_local_image_of_one_other_platform_serves(both: Project) -> None:
    name = "127.0.0.1:1/app"  # where no registry answers
    both.files(Dockerfile='FROM both\nRUN echo x > /x\nCMD ["cat", "/x"]\n')
    both.build("--platform=linux/arm64", f"--tag={name}").ok()
    both.files(Dockerfile=f"FROM {name}\n")
    said = both.build("--platform=linux/amd64").ok()
    assert 'was pulled with platform "linux/arm64", expected "linux/amd64"' in said.stderr
    assert both.jettison("run", name).ok().stdout == "x\n"


def test_metadata_has_the_digest_of_the_index(both: Project) -> None:
    both.files(Dockerfile=CROSS)
    archive, metadata = f"{both.out}/app.tar", f"{both.out}/metadata.json"
    both.build(BOTH, f"--output=type=oci,dest={archive}", f"--metadata-file={metadata}", "--tag=app").ok()
    with open(metadata, encoding="utf-8") as file:
        said = json.load(file)
    with tarfile.open(archive) as tar:
        entry = json.load(tar.extractfile("index.json"))["manifests"][0]  # type: ignore[arg-type]
    assert said["containerimage.digest"] == entry["digest"]
    assert said["containerimage.descriptor"] == {key: entry[key] for key in ("mediaType", "digest", "size")}
    assert "containerimage.config.digest" not in said
    assert said["image.name"] == "docker.io/library/app:latest"
    assert len(said["jettison.record"]["images"]) == 2


def test_files_lie_in_a_directory_a_platform(both: Project) -> None:
    both.files(Dockerfile=CROSS)
    plain, tar = os.path.join(both.out, "plain"), os.path.join(both.out, "all.tar")
    both.build(BOTH, f"--output={plain}", f"--output=type=tar,dest={tar}").ok()
    assert sorted(os.listdir(plain)) == ["linux_amd64", "linux_arm64"]
    with tarfile.open(tar) as archive:
        names = archive.getnames()
        assert names[0] == "linux_amd64"
        assert archive.getmember("linux_arm64/bin/sh").linkname == "busybox"
        for name in ("amd64", "arm64"):
            with open(f"{plain}/linux_{name}/w/made", encoding="utf-8") as file:
                assert file.read() == f"for {name}\n"
            made = archive.extractfile(f"linux_{name}/w/made")
            assert made
            assert made.read() == f"for {name}\n".encode()


def test_one_platform_is_an_index_where_that_is_asked(both: Project) -> None:
    both.files(Dockerfile="FROM both\n")
    words = ("--build-arg=BUILDKIT_MULTI_PLATFORM=1", "--platform=linux/arm64", f"--output={both.out}/plain")
    both.build(*words, f"--output=type=oci,dest={both.out}/app.tar").ok()
    assert os.listdir(f"{both.out}/plain") == ["linux_arm64"]
    assert [entry["platform"] for entry in index_of(f"{both.out}/app.tar")["manifests"]] == [  # type: ignore[attr-defined]
        {"architecture": "arm64", "os": "linux"}
    ]


def test_an_archive_for_docker_has_one_platform(both: Project) -> None:
    both.files(Dockerfile="FROM both\nRUN echo never\n")
    said = both.build(BOTH, f"--output=type=docker,dest={both.out}/app.tar")
    assert said.code == 2
    assert "docker exporter does not currently support exporting manifest lists" in said.stderr
    assert "never" not in said.stderr
    assert os.listdir(both.out) == []


def test_a_platform_that_a_base_lacks_is_named(both: Project) -> None:
    both.files(Dockerfile="FROM both\n")
    said = both.build("--platform=linux/amd64,linux/s390x")
    assert said.code == 4
    assert "linux/s390x" in said.stderr
    assert "Dockerfile:1" in said.stderr


def elf(machine: int = NOBODY_RUNS) -> bytes:
    """The head of a program for a processor."""
    return (b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, machine, 1)).ljust(64, b"\0")


def foreign_base(project: Project) -> None:
    """A base `odd` for arm64 whose shell is for a processor that the kernel does not know. Its body is text that an
    interpreter, registered for such heads, can run.
    """
    layer = Layer("a foreign shell")
    for path in ("bin", "etc", "tmp"):
        layer.directory(path)
    layer.file("bin/sh", elf() + b'\nEMULATED="by $0"; eval "$2"\n', 0o755)
    layer.file("bin/script", "#!/bin/sh\n", 0o755)
    layer.file("etc/passwd", "root:x:0:0::/:/bin/sh\nworker:x:7:8::/:/bin/sh\n")
    layer.file("etc/group", "root:x:0:\n")
    project.bases["odd"] = platforms.of_layers(os.path.join(project.folder, "odd"), {"linux/arm64": layer})


def test_foreign_stages_that_run_nothing_need_no_emulator(project: Project) -> None:
    foreign_base(project)
    project.files(
        Dockerfile="FROM odd AS other\nRUN never\n"
        'FROM odd\nUSER worker\nWORKDIR /w\nCOPY --chown=worker a.txt .\nCMD ["/bin/sh"]\n',
        a__txt="a",
    )
    made = project.image("--platform=linux/arm64")
    assert made.tree()["w/a.txt"]["uid"] == made.tree()["w"]["uid"] == 7
    assert made.settings()["architecture"] == "arm64"


@pytest.mark.parametrize("command", ["RUN touch /made", 'RUN ["/bin/script"]'])
def test_a_foreign_program_is_refused_with_what_helps(project: Project, command: str) -> None:
    foreign_base(project)
    project.files(Dockerfile=f"FROM odd\nWORKDIR /w\n{command}\n")
    said = project.build("--platform=linux/arm64")
    assert said.code == 6
    assert "exec /bin/sh: exec format error: a program for another processor (ELF machine 999)" in said.stderr
    assert "apt-get install qemu-user-static binfmt-support" in said.stderr
    assert "Dockerfile:3" in said.stderr


EMULATED = "FROM odd\nWORKDIR /w\nUSER worker\nRUN echo run $EMULATED >&2\nRUN echo again $EMULATED >&2\n"


@pytest.mark.root
def test_a_registered_emulator_runs_foreign_steps(project: Project) -> None:
    foreign_base(project)
    project.files(Dockerfile=EMULATED)
    said = with_emulator(project, "--platform=linux/arm64")
    assert said.code == 0, said.stderr
    assert "run by /bin/sh" in said.stderr
    assert "again by /bin/sh" in said.stderr


@pytest.mark.root
@pytest.mark.rootless
def test_a_registered_emulator_serves_an_ordinary_user(ordinary_user: User) -> None:
    theirs = ordinary_user.project("emulated")
    foreign_base(theirs)
    theirs.files(Dockerfile=EMULATED)
    ordinary_user.own(theirs.folder)
    said = with_emulator(theirs, "--platform=linux/arm64")
    assert said.code == 0, said.stderr
    assert "run by /bin/sh" in said.stderr


def with_emulator(project: Project, *flags: str) -> Outcome:
    """Build where the odd shell has an emulator: a user namespace of all ids with emulators of its own (Linux 6.7)."""
    folder = os.path.join(project.folder, "emulator")
    os.makedirs(folder)
    emulator = os.path.join(folder, "sh")  # busybox's shell, by its name
    shutil.copy("/bin/busybox", emulator)
    magic, mask = (_escaped(data) for data in (elf()[:20], b"\xff" * 16 + b"\xfe\xff\xff\xff"))
    rule = f":odd:M::{magic}:{mask}:{emulator}:F"
    kept = project.program
    project.program = (sys.executable, emulated.__file__, folder, rule, *kept)
    try:
        said = project.build(*flags)
    finally:
        project.program = kept
    if said.code == emulated.UNABLE:
        pytest.skip("this kernel has no emulators of a user namespace's own (Linux 6.7)")
    return said


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)
