"""The body of scripts/bench: workloads run by jettison and by every peer on the machine, medians and ratios."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from bench import builders, disk, measure, meter, table, workloads  # noqa: E402
from bench.registry import Registry  # noqa: E402

COUNTS = (3_000, 12_000, 48_000)
RESULT = os.path.join(ROOT, "docs", "benchmarks.md")


def main() -> int:
    names = [workload.name for workload in workloads.ALL]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}, scaling (default: all)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of every builder (default: 5)")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME", help="only these (none: no peer)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*names, "scaling"}
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    wanted = arguments.names or [*names, "scaling"]
    with disk.scratch() as (scratch, kind), contextlib.ExitStack() as held:
        found = builders.found(os.path.join(scratch, "builders"), arguments.peer)
        for builder in found:
            held.callback(builder.close)
        registry = _registry(held, scratch, wanted)
        outcomes = _outcomes(wanted, found, scratch, registry, arguments.runs)
        scaled = _scaled(found[0], scratch) if "scaling" in wanted else []
        if arguments.write:
            versions = {builder.name: builder.version() for builder in found}
            with open(RESULT, "w", encoding="utf-8") as file:
                file.write(table.document(outcomes, versions, kind, arguments.runs, scaled))
    return 0


def _registry(held: contextlib.ExitStack, scratch: str, wanted: list[str]) -> Registry | None:
    if not any(workload.pulls and workload.name in wanted for workload in workloads.ALL) or not Registry.is_here():
        return None
    registry = Registry(os.path.join(scratch, "registry"))
    held.callback(registry.close)
    return registry


def _outcomes(
    wanted: list[str], found: list[builders.Builder], scratch: str, registry: Registry | None, runs: int
) -> list[measure.Outcome]:
    peers = [builder.name for builder in found[1:]]
    outcomes = []
    print(table.header(peers), flush=True)
    for workload in workloads.ALL:
        if workload.name not in wanted:
            continue
        place = workloads.Place(_empty(scratch, workload.name), ROOT, registry)
        if workload.pulls and registry is None:
            print(f"{workload.name:<13}left out: docker-registry or skopeo is not installed", flush=True)
            continue
        try:
            outcomes.append(measure.outcome(workload, found, place, runs))
        except meter.CommandError as error:
            print(f"{workload.name:<13}failed: {error}", flush=True)
            continue
        print(table.line(outcomes[-1], peers), flush=True)
    return outcomes


def _scaled(ours: builders.Builder, scratch: str) -> list[str]:
    figures = {}
    for count in COUNTS:
        place = workloads.Place(_empty(scratch, f"scaling-{count}"), ROOT, None)
        made = workloads.scaled(place, count)
        ours.forget({"busybox": workloads.assemble.base("busybox")})
        sample = ours.build(builders.Job(made.context, os.path.join(place.folder, "out.tar")))
        figures[count] = (sample.wall_s, sample.cpu_s, sample.peak_kib / 1024)
    lines = table.scaling(COUNTS, figures)
    print("\n".join(["", *lines]), flush=True)
    return lines


def _empty(scratch: str, name: str) -> str:
    path = os.path.join(scratch, "work", name)
    os.makedirs(path)
    return path


if __name__ == "__main__":
    sys.exit(main())
