"""Scratch for a benchmark: a journalled ext4 in a loop file where we may mount one, else a plain directory.

Making and removing many files is several times slower on a filesystem without a journal, and differs from machine to
machine: so everybody's store, context and scratch lie on the same one, made anew. Nothing of it outlives the program:
what a killed one left, the next one removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator

SIZE = "28G"  # sparse: only what is written takes room
PREFIX = "jettison-bench-"
PATIENCE_S = 10.0


@contextlib.contextmanager
def scratch() -> Iterator[tuple[str, str]]:
    """(an empty directory, what it lies on) while the block runs."""
    _remove_leftovers()
    directory = tempfile.mkdtemp(prefix=PREFIX)
    with open(os.path.join(directory, "owner"), "w", encoding="utf-8") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            mounted = os.path.join(directory, "disk")
            os.mkdir(mounted)
            is_mounted = os.geteuid() == 0 and _mount(os.path.join(directory, "image"), mounted)
            yield mounted, "ext4 with a journal, in a loop file" if is_mounted else "the filesystem of TMPDIR"
        finally:
            _remove(directory)


def _remove_leftovers() -> None:
    """Those of programs that were killed: nobody holds their lock."""
    for entry in os.scandir(tempfile.gettempdir()):
        if not entry.name.startswith(PREFIX) or entry.stat(follow_symlinks=False).st_uid != os.geteuid():
            continue
        with contextlib.suppress(OSError), open(os.path.join(entry.path, "owner"), encoding="utf-8") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(entry.path)


def _remove(directory: str) -> None:
    """End what runs there, unmount what is mounted there, and take the directory away."""
    _end(directory)
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        points = [line.split(" ", 5)[4] for line in lines]
    for point in sorted((point for point in points if point.startswith(directory + "/")), reverse=True):
        if subprocess.run(["umount", point], check=False, capture_output=True).returncode:
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)


def _end(directory: str) -> None:
    """End the processes that have the directory in their command line: daemons, and what daemons started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + PATIENCE_S
        for pid in _users(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while _users(directory) and time.monotonic() < until:
            time.sleep(0.1)  # children of others: nobody tells us of their end


def _users(directory: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            if os.fsencode(directory + "/") in file.read():
                found.append(int(name))
    return [pid for pid in found if pid != os.getpid()]


def _mount(image: str, at: str) -> bool:
    if shutil.which("mkfs.ext4") is None:
        return False
    subprocess.run(["truncate", "-s", SIZE, image], check=True)
    made = ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-m", "0", image]
    subprocess.run(made, check=True)
    done = subprocess.run(["mount", "-o", "loop", image, at], check=False, capture_output=True)
    return done.returncode == 0
