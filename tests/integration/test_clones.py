"""Where the filesystem can share blocks between files, a copy of a large file takes no room: from a context, between
stages, and with another owner.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from project import Project

LARGE_BYTES = 32 << 20
DOCKERFILE = """\
FROM scratch AS first
COPY large /one
FROM scratch
COPY --from=first --chown=3:4 /one /two
"""


@pytest.fixture
def cloning(tmp_path: object) -> Iterator[Project]:
    """A project that lies on btrfs as a whole."""
    image, disk = f"{tmp_path}/image", f"{tmp_path}/disk"
    os.makedirs(disk)
    subprocess.run(["truncate", "-s", "512M", image], check=True)
    subprocess.run(["mkfs.btrfs", "-q", "-m", "single", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, disk], check=False, capture_output=True, text=True)
    if mounted.returncode:  # a kernel without btrfs has nothing to clone with
        pytest.skip(f"this kernel mounts no btrfs: {mounted.stderr.strip()}")
    yield Project(disk)
    subprocess.run(["umount", disk], check=True)


@pytest.mark.root
def test_a_large_file_is_there_once(cloning: Project) -> None:
    cloning.files(Dockerfile=DOCKERFILE, large=os.urandom(LARGE_BYTES))
    before = used_bytes(cloning)
    cloning.build("--output=type=cacheonly").ok()
    assert used_bytes(cloning) - before < LARGE_BYTES // 4
    with open(os.path.join(cloning.context, "large"), "rb") as file:
        assert cloning.image().file("two") == file.read()


def used_bytes(project: Project) -> int:
    """Of the disk, once all is written."""
    os.sync()
    disk = os.statvfs(project.folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize
