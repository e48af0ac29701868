"""A workload run by every builder, in turn, several times; and the medians of that."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench import floor, meter, profiling, targets, workloads
from bench.builders import Builder, Jettison, Job
from bench.workloads import Made, Place, Workload


class Figures(NamedTuple):
    """One builder's runs."""

    samples: tuple[meter.Sample, ...]

    @property
    def wall_s(self) -> float:
        return statistics.median(sample.wall_s for sample in self.samples)

    @property
    def export_s(self) -> float:
        """Of that, the part that a command of its own took to write the archive."""
        return statistics.median(sample.export_s for sample in self.samples)

    @property
    def cpu_s(self) -> float:
        return statistics.median(sample.cpu_s for sample in self.samples)

    @property
    def peak_mib(self) -> float:
        """Of the largest process in any run."""
        return max(sample.peak_kib for sample in self.samples) / 1024


class Spent(NamedTuple):
    """Where one build of jettison's spent its time, and the most memory that all its processes held at one time."""

    wall_s: float
    build_s: float
    steps: tuple[tuple[str, float], ...]
    together_mib: float


class Outcome(NamedTuple):
    """What a workload gave. `failed`: the peers that could not do it, and what they said; `took_s`: all of this.

    `profile`: of a workload that misses a target, or why there is none.
    """

    workload: Workload
    figures: dict[str, Figures]
    failed: dict[str, str]
    ratios: dict[str, float]
    spent: Spent
    profile: profiling.Profile | str
    floor: tuple[str, float] | None
    took_s: float


def outcome(workload: Workload, ours: Jettison, peers: Sequence[Builder], place: Place, runs: int) -> Outcome:
    """Run it. Raises CommandError where jettison fails; a peer that fails is left out from there on."""
    began = time.monotonic()
    made = workload.make(place)
    job = Job(made.context, os.path.join(place.folder, "out.tar") if workload.export else "")
    turns = _Turns([ours, *peers])
    layouts = workloads.layouts(workload)
    for builder in list(turns.builders):
        turns.attempt(builder, lambda builder=builder: _prepare(workload, builder, layouts, job))
    for run in range(1, runs + 1):
        if made.change is not None:
            made.change(run)
        for builder in turns.order(run):
            turns.attempt(builder, lambda builder=builder: turns.take(builder, workload, layouts, job))
    spent = _spent(ours, workload, made, job, runs + 1)
    figures = {name: Figures(tuple(found)) for name, found in turns.samples.items() if name not in turns.failed}
    ratios = _ratios(figures)
    profile: profiling.Profile | str = "no target is missed"
    if targets.missed(workload, ratios, figures[Jettison.name].peak_mib):
        _once_more(ours, workload, made, runs + 2)
        profile = profiling.taken(ours, job)
    least = floor.seconds(workload.floor, made.context, place.folder)
    shutil.rmtree(place.folder)
    return Outcome(workload, figures, turns.failed, ratios, spent, profile, least, time.monotonic() - began)


class _Turns:
    """Who takes part, whose turn it is, and what came of it."""

    def __init__(self, builders: list[Builder]) -> None:
        self.builders = builders
        self.samples: dict[str, list[meter.Sample]] = {builder.name: [] for builder in builders}
        self.failed: dict[str, str] = {}

    def order(self, run: int) -> list[Builder]:
        """Everybody's turn, another one's first in every run."""
        first = (run - 1) % len(self.builders)
        return self.builders[first:] + self.builders[:first]

    def attempt(self, builder: Builder, act: Callable[[], object]) -> None:
        """Do something with a builder. A peer that fails is out; raises CommandError for jettison."""
        try:
            act()
        except meter.CommandError as error:
            if builder.name == Jettison.name:
                raise
            self.failed[builder.name] = str(error).strip().splitlines()[-1]
            self.builders.remove(builder)

    def take(self, builder: Builder, workload: Workload, layouts: dict[str, str], job: Job) -> None:
        """One timed run, from an empty cache if the workload is cold, when nothing waits to be written to the disk."""
        if workload.cold:
            builder.forget(layouts)
        os.sync()
        self.samples[builder.name].append(builder.build(job))


def _prepare(workload: Workload, builder: Builder, layouts: dict[str, str], job: Job) -> None:
    """The build before the first one, whose cache the others find. Of a cold workload nothing is to be found."""
    if not workload.cold:
        builder.forget(layouts)
        builder.build(job)


def _spent(ours: Jettison, workload: Workload, made: Made, job: Job, run: int) -> Spent:
    """One more run, watched, which takes time itself: so its memory counts, and the proportions of its times."""
    _once_more(ours, workload, made, run)
    began = time.monotonic()
    with meter.together() as watched:
        record = ours.record(job)
    wall = time.monotonic() - began
    steps = [(step["display"], step.get("duration_ms", 0.0) / 1000) for step in record["steps"]]
    longest = sorted(steps, key=lambda step: step[1], reverse=True)[:3]
    return Spent(wall, record["duration_ms"] / 1000, tuple(longest), watched.peak_kib / 1024)


def _once_more(ours: Jettison, workload: Workload, made: Made, run: int) -> None:
    """All as before one of jettison's timed runs."""
    if made.change is not None:
        made.change(run)
    if workload.cold:
        ours.forget(workloads.layouts(workload))


def _ratios(figures: dict[str, Figures]) -> dict[str, float]:
    """To each peer the median of the ratios of the runs that stood beside each other."""
    ours = figures[Jettison.name].samples
    return {
        name: statistics.median(a.wall_s / b.wall_s for a, b in zip(ours, theirs.samples, strict=True))
        for name, theirs in figures.items()
        if name != Jettison.name
    }
