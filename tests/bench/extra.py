"""What is measured of jettison alone: parsing, and how cost grows with the number of files."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from bases import assemble
from bench import builders, parsing, workloads
from bench.workloads import Place

COUNTS = (3_000, 12_000, 48_000)
PARSE_TARGET_S = 2.0
LINEAR = 1.25  # the most that a file may cost of what one costs among the fewest


class Parsed(NamedTuple):
    """Dockerfiles parsed on one core: the median of the runs, in seconds of that core."""

    cpu_s: float
    count: int
    lines: int
    size_bytes: int

    @property
    def text(self) -> str:
        miss = "" if self.cpu_s <= PARSE_TARGET_S else ", MISSED"
        return (
            f"{self.count} Dockerfiles ({self.lines} lines, {self.size_bytes / 1e6:.1f} MB) in {self.cpu_s:.2f} s "
            f"of one core (target: {PARSE_TARGET_S:.0f} s{miss})"
        )


def parsed(ours: builders.Jettison, runs: int) -> Parsed:
    """Parse, in a process of its own each time."""
    found = []
    for _ in range(runs):
        words = [ours.python, "-I", parsing.__file__]
        done = subprocess.run(words, env=builders.plain_environment(), stdout=subprocess.PIPE, check=True)
        found.append(json.loads(done.stdout))
    return Parsed(statistics.median(took for took, *_ in found), *found[0][1:])


class Scale(NamedTuple):
    """COPY of so many files between two stages, exported: the quickest of the runs."""

    files: int
    size_bytes: int
    wall_s: float
    cpu_s: float
    peak_mib: float


def scales(ours: builders.Jettison, place: Callable[[str], Place], runs: int) -> list[Scale]:
    """Cold, with more and more files of the same mean size."""
    found = []
    for count in COUNTS:
        here = place(f"scaling-{count}")
        made = workloads.scaled(here, count)
        samples = []
        for _ in range(runs):
            ours.forget({"busybox": assemble.base("busybox")})
            os.sync()
            samples.append(ours.build(builders.Job(made.context, os.path.join(here.folder, "out.tar"))))
        best = min(samples)
        size = workloads.scaled_bytes(count)
        found.append(Scale(count, size, best.wall_s, best.cpu_s, max(one.peak_kib for one in samples) / 1024))
        shutil.rmtree(here.folder)
    return found


def scaling_lines(found: list[Scale]) -> list[str]:
    """The table, and whether it is a line."""
    lines = [f"{'files':>8}{'MB':>7}{'seconds':>9}{'cpu s':>8}{'µs/file':>9}{'ms/MB':>8}{'MiB':>6}"]
    for one in found:
        per_file, per_megabyte = one.wall_s / one.files * 1e6, one.wall_s * 1000 / (one.size_bytes / 1e6)
        lines.append(
            f"{one.files:>8}{one.size_bytes / 1e6:>7.0f}{one.wall_s:>9.2f}{one.cpu_s:>8.2f}"
            f"{per_file:>9.0f}{per_megabyte:>8.2f}{one.peak_mib:>6.0f}"
        )
    first, last = (found[place].wall_s / found[place].files for place in (0, -1))
    verdict = "linear" if last <= first * LINEAR else "NOT LINEAR"
    return [*lines, f"a file among {found[-1].files} costs {last / first:.2f} of one among {found[0].files}: {verdict}"]
