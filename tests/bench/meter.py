"""One command, measured: wall seconds, processor seconds and the largest process's memory, by the kernel's count."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

SAMPLE_S = 0.01
LIMIT_S = 300.0  # of one command: what takes longer hangs
_SPAWN = os.path.join(os.path.dirname(os.path.realpath(__file__)), "spawn.py")


class Sample(NamedTuple):
    """What a run took. `cpu_s` and `peak_kib` are of the processes that the command waited for: a daemon's are not.

    `export_s`: the part of `wall_s` that a command of its own took to write the archive.
    """

    wall_s: float
    cpu_s: float
    peak_kib: int
    export_s: float = 0.0

    def plus(self, other: Sample) -> Sample:
        """This run, followed by another."""
        return Sample(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_kib, other.peak_kib))

    def exported(self, other: Sample) -> Sample:
        """This run, followed by one that exports."""
        return self.plus(other)._replace(export_s=other.wall_s)


class CommandError(Exception):
    """A command failed; the text has its last lines."""


def run(commands: Sequence[Sequence[str]], variables: Mapping[str, str], log: str) -> Sample:
    """Run the commands one after the other; their output goes to the file `log`."""
    total = Sample(0.0, 0.0, 0)
    for command in commands:
        total = total.plus(_run(command, variables, log))
    return total


def _run(command: Sequence[str], variables: Mapping[str, str], log: str) -> Sample:
    words = [sys.executable, "-I", "-S", _SPAWN, log, *command]
    process = subprocess.Popen(words, env=dict(variables), stdout=subprocess.PIPE, process_group=0)
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(command[:8])} did not end in {LIMIT_S:.0f} s") from None
    finally:  # whatever ends the wait: nothing goes on below
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    code, wall, cpu, peak = json.loads(said)
    if code:
        raise CommandError(f"{' '.join(command[:8])} ended with {code}:\n{tail(log)}")
    return Sample(wall, cpu, peak)


def tail(log: str) -> str:
    """The last lines of a log."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return "\n".join(file.read().splitlines()[-25:])


class Together:
    """The most memory that a process and all below it held at one time, shared pages counted once (Linux's Pss)."""

    def __init__(self) -> None:
        self.peak_kib = 0


@contextlib.contextmanager
def together() -> Iterator[Together]:
    """Watch the children of this process while the block runs. It takes a little time itself: not for timed runs."""
    found, stop = Together(), threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_S):
            found.peak_kib = max(found.peak_kib, sum(map(_pss, _below(os.getpid()))))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def _below(pid: int) -> list[int]:
    """The pids of all descendants."""
    found, todo = [], [pid]
    while todo:
        here = todo.pop()
        try:
            for task in os.listdir(f"/proc/{here}/task"):
                with open(f"/proc/{here}/task/{task}/children", encoding="ascii") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                todo += children
        except OSError:
            continue
    return found


def _pss(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def stop(pid: int, seconds: float = 30.0) -> None:
    """End a daemon of ours, and wait for it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            done, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return
        if done:
            return
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
