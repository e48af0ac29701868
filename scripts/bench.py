"""The body of scripts/bench: workloads run by jettison and by every peer on the machine, medians and ratios."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from bench import disk, extra, measure, meter, others, table, workloads  # noqa: E402 - found only now
from bench.builders import Builder, Jettison  # noqa: E402 - so, too
from bench.registry import Registry  # noqa: E402

RESULT = os.path.join(ROOT, "docs", "benchmarks.md")
ALONE = ("scaling", "parse")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class World(NamedTuple):
    """Who takes part, and where. `registry` is None where no workload needs it, or no program is there for it."""

    ours: Jettison
    peers: list[Builder]
    scratch: str
    registry: Registry | None

    def place(self, name: str) -> workloads.Place:
        """An empty folder for a workload."""
        path = os.path.join(self.scratch, "work", name)
        os.makedirs(path)
        return workloads.Place(path, ROOT, self.registry)


def main() -> int:
    names = [workload.name for workload in workloads.ALL]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join([*names, *ALONE])} (default: all)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of every builder (default: 5)")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME", help="only these (none: no peer)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*names, *ALONE}
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    for number in ENDING:
        signal.signal(number, _end)
    _run(arguments.names or [*names, *ALONE], arguments.peer, arguments.runs, write=arguments.write)
    return 0


def _end(number: int, _: object) -> None:
    """Leave by way of all that cleans up, which a second signal does not disturb."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _run(wanted: list[str], peers: list[str], runs: int, *, write: bool) -> None:
    before = os.getloadavg()[0]
    with disk.scratch() as (scratch, kind), contextlib.ExitStack() as held:
        world = _world(held, scratch, wanted, peers)
        outcomes = _outcomes(wanted, world, runs)
        parsed = extra.parsed(world.ours, runs).text if "parse" in wanted else ""
        _say([parsed] if parsed else [])
        scaled = extra.scaling_lines(extra.scales(world.ours, world.place, 2)) if "scaling" in wanted else []
        _say(scaled)
        if write:
            versions = {builder.name: builder.version() for builder in (world.ours, *world.peers)}
            conditions = table.Conditions(versions, kind, runs, (before, os.getloadavg()[0]))
            text = table.document(outcomes, conditions, parsed, scaled)
            with open(RESULT, "w", encoding="utf-8") as file:
                file.write(text)


def _world(held: contextlib.ExitStack, scratch: str, wanted: list[str], only: list[str]) -> World:
    ours, peers = Jettison(os.path.join(scratch, "builders", "jettison")), []
    for kind in others.found(only):
        try:
            peers.append(kind(os.path.join(scratch, "builders", kind.name)))
        except meter.CommandError as error:
            print(f"{kind.name} takes no part: {error}", flush=True)
            continue
        held.callback(peers[-1].close)
    registry = None
    if Registry.is_here() and any(workload.pulls and workload.name in wanted for workload in workloads.ALL):
        registry = Registry(os.path.join(scratch, "registry"))
        held.callback(registry.close)
    return World(ours, peers, scratch, registry)


def _outcomes(wanted: list[str], world: World, runs: int) -> list[measure.Outcome]:
    names = [builder.name for builder in world.peers]
    outcomes = []
    if set(wanted) <= set(ALONE):
        return []
    print(table.header(names), flush=True)
    for workload in workloads.ALL:
        if workload.name not in wanted:
            continue
        if workload.pulls and world.registry is None:
            print(f"{workload.name:<13}left out: docker-registry or skopeo is not installed", flush=True)
            continue
        try:
            outcomes.append(measure.outcome(workload, world.ours, world.peers, world.place(workload.name), runs))
        except meter.CommandError as error:
            print(f"{workload.name:<13}failed: {error}", flush=True)
            continue
        print(table.line(outcomes[-1], names), flush=True)
        for peer, said in outcomes[-1].failed.items():
            print(f"{'':<13}{peer} failed: {said}", flush=True)
    _say([table.summary(outcomes)])
    return outcomes


def _say(lines: list[str]) -> None:
    """Print a paragraph of its own, if there is one."""
    if lines:
        print("\n".join(["", *lines]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
