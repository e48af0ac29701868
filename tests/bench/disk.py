"""Scratch for a benchmark: a journalled ext4 in a loop file where we may mount one, else a plain directory.

Making and removing many files is several times slower on a filesystem without a journal, and differs from machine to
machine: so everybody's store, context and scratch lie on the same one, made anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

SIZE = "28G"  # sparse: only what is written takes room


@contextlib.contextmanager
def scratch() -> Iterator[tuple[str, str]]:
    """(an empty directory, what it lies on) while the block runs."""
    with tempfile.TemporaryDirectory(prefix="jettison-bench-") as directory:
        mounted = os.path.join(directory, "disk")
        os.mkdir(mounted)
        if os.geteuid() != 0 or not _mount(os.path.join(directory, "image"), mounted):
            yield mounted, "the filesystem of TMPDIR"
            return
        try:
            yield mounted, "ext4 with a journal, in a loop file"
        finally:
            _unmount(mounted)


def _mount(image: str, at: str) -> bool:
    if shutil.which("mkfs.ext4") is None:
        return False
    subprocess.run(["truncate", "-s", SIZE, image], check=True)
    made = ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-m", "0", image]
    subprocess.run(made, check=True)
    done = subprocess.run(["mount", "-o", "loop", image, at], check=False, capture_output=True)
    return done.returncode == 0


def _unmount(at: str) -> None:
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        points = [line.split(" ", 5)[4] for line in lines]
    below = sorted((point for point in points if point.startswith(at + "/")), reverse=True)
    for point in (*below, at):  # what a builder left mounted would hold the disk
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)
