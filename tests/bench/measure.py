"""A workload run by every builder, in turn, several times; and the medians of that."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from bench import floor, meter, workloads
from bench.builders import Builder, Job
from bench.workloads import Made, Place, Workload


class Figures(NamedTuple):
    """One builder's runs."""

    samples: tuple[meter.Sample, ...]

    @property
    def wall_s(self) -> float:
        return statistics.median(sample.wall_s for sample in self.samples)

    @property
    def cpu_s(self) -> float:
        return statistics.median(sample.cpu_s for sample in self.samples)

    @property
    def peak_mib(self) -> float:
        """Of the largest process in any run."""
        return max(sample.peak_kib for sample in self.samples) / 1024


class Outcome(NamedTuple):
    """What a workload gave. `together_mib`: all of jettison's processes at one time, in a run of its own."""

    workload: Workload
    figures: dict[str, Figures]
    ratios: dict[str, float]
    together_mib: float
    floor: tuple[str, float] | None


def outcome(workload: Workload, builders: Sequence[Builder], place: Place, runs: int) -> Outcome:
    """Run it. Raises CommandError where a builder fails."""
    made = workload.make(place)
    layouts = workloads.layouts(workload)
    out = os.path.join(place.folder, "out.tar") if workload.export else ""
    job = Job(made.context, out)
    for builder in builders:
        builder.forget(layouts)
        if not workload.cold:
            builder.build(job)
    samples: dict[str, list[meter.Sample]] = {builder.name: [] for builder in builders}
    for run in range(1, runs + 1):
        if made.change is not None:
            made.change(run)
        for builder in builders:
            if workload.cold and run > 1:
                builder.forget(layouts)
            os.sync()
            samples[builder.name].append(builder.build(job))
    together = _together(builders[0], workload, made, job, runs + 1)
    figures = {name: Figures(tuple(found)) for name, found in samples.items()}
    least = floor.seconds(workload.floor, made.context, place.folder)
    shutil.rmtree(place.folder)
    return Outcome(workload, figures, _ratios(figures), together, least)


def _together(ours: Builder, workload: Workload, made: Made, job: Job, run: int) -> float:
    if made.change is not None:
        made.change(run)
    if workload.cold:
        ours.forget(workloads.layouts(workload))
    with meter.together() as watched:
        ours.build(job)
    return watched.peak_kib / 1024


def _ratios(figures: dict[str, Figures]) -> dict[str, float]:
    """To each peer the median of the ratios of the runs that stood beside each other."""
    ours = figures["jettison"].samples
    return {
        name: statistics.median(a.wall_s / b.wall_s for a, b in zip(ours, theirs.samples, strict=True))
        for name, theirs in figures.items()
        if name != "jettison"
    }
