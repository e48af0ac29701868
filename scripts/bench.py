"""The body of scripts/bench: the same builds by jettison and by buildah, medians and ratios."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import peers  # noqa: E402 - the suite's own drivers
from bases import assemble  # noqa: E402
from project import Project  # noqa: E402

NODE = ("node:14.4.0", "node:14.4.0-alpine")
FILES = """\
FROM busybox AS make
RUN mkdir /d && cd /d && for i in $(seq {count}); do echo $i > f$i; done
FROM busybox
COPY --from=make /d /d
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="files of the many-files case")
    parser.add_argument("--node", action="store_true", help="build the Node example too: it downloads")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jettison-bench-") as scratch:
        buildah = peers.Buildah(os.path.join(scratch, "buildah"))
        try:
            bench(scratch, buildah, arguments.files, with_node=arguments.node)
        finally:
            buildah.close()
    return 0


def bench(scratch: str, buildah: peers.Buildah, count: int, *, with_node: bool) -> None:
    print(f"{'':34}{'jettison':>10}{'buildah':>10}{'ratio':>8}   seconds, median")
    buildah.load(assemble.base("busybox"), "busybox")
    small = write(scratch, "small", "FROM busybox\nRUN echo made > /made\n")
    compare(scratch, buildah, "one RUN over busybox", small, ("busybox",), runs=5)
    compare(
        scratch,
        buildah,
        f"{count:,} files made and copied",
        write(scratch, "many", FILES.format(count=count)),
        ("busybox",),
        runs=1,
    )
    if with_node:
        for name in NODE:
            buildah.load(assemble.base(name), name)
        compare(scratch, buildah, "the Node example", os.path.join(ROOT, "examples", "node-typescript"), NODE, runs=1)
    print(f"{'the floor: cp -a of the files':34}{copied(scratch, count):10.2f}")


def compare(
    scratch: str, buildah: peers.Buildah, what: str, context: str, bases: tuple[str, ...], *, runs: int
) -> None:
    """Two lines: without a cache, and with nothing to do."""
    project = Project(os.path.join(scratch, os.path.basename(context) + "-ours"))
    for name in bases:
        project.base(name)
    project.build(context=context).ok()  # unpacks the base, as buildah's storage has it already
    out = os.path.join(scratch, "theirs.tar")
    archive = f"--output=type=docker,dest={os.path.join(scratch, 'ours.tar')}"
    ours = median(lambda: project.build("--no-cache", archive, context=context).ok(), runs)
    show(what, ours, median(lambda: buildah.build(context, out), runs))
    ours = median(lambda: project.build(context=context).ok(), 2 * runs + 3)
    buildah.build_cached(context)
    show("  again, nothing to do", ours, median(lambda: buildah.build_cached(context), runs))


def show(what: str, ours: float, theirs: float) -> None:
    print(f"{what:34}{ours:10.2f}{theirs:10.2f}{ours / theirs:8.2f}", flush=True)


def median(action: Callable[[], object], runs: int) -> float:
    """Seconds that the action takes."""
    found = []
    for _ in range(runs):
        started = time.monotonic()
        action()
        found.append(time.monotonic() - started)
    return statistics.median(found)


def copied(scratch: str, count: int) -> float:
    """How long this disk takes to copy as many small files, with no builder at all."""
    source = os.path.join(scratch, "source")
    os.makedirs(source)
    for number in range(count):
        with open(os.path.join(source, f"f{number}"), "w", encoding="utf-8") as file:
            file.write(f"{number}\n")
    return median(lambda: subprocess.run(["cp", "-a", source, os.path.join(scratch, "copy")], check=True), 1)


def write(scratch: str, name: str, dockerfile: str) -> str:
    """A context that is a Dockerfile alone."""
    folder = os.path.join(scratch, name)
    os.makedirs(folder)
    with open(os.path.join(folder, "Dockerfile"), "w", encoding="utf-8") as file:
        file.write(dockerfile)
    return folder


if __name__ == "__main__":
    sys.exit(main())
