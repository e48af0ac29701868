"""The workloads: what is built, from which state, what changes before each run, and the targets."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from typing import NamedTuple

from bases import assemble, recipes
from bench import material
from bench.registry import Registry

Change = Callable[[int], None]


class Place(NamedTuple):
    """Where workloads put their material: an empty folder, and the registry when one is needed and there."""

    folder: str
    root: str
    registry: Registry | None


class Made(NamedTuple):
    """A workload, made: its context, and what happens before run number so-and-so (the first is 1)."""

    context: str
    change: Change | None = None


class Workload(NamedTuple):
    """`cold`: every run begins with an empty cache and the `bases`, unpacked; else one build came before.

    `targets` are the ratios to reach, to BuildKit (docker's, or its own) and to buildah. `floor` names what the machine
    itself needs for the same bytes (`floor.py`).
    """

    name: str
    what: str
    targets: tuple[float, float]
    make: Callable[[Place], Made]
    bases: tuple[str, ...] = ("busybox",)
    cold: bool = True
    export: bool = False
    floor: str = ""
    pulls: bool = False


def _noop(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    shutil.copytree(os.path.join(place.root, "examples", "node-typescript"), context)
    return Made(context)


def _tree(place: Place, dockerfile: str, count: int = material.FILES, total: int = material.FILES_BYTES) -> str:
    context = os.path.join(place.folder, "context")
    material.write_dockerfile(context, dockerfile)
    material.write_tree(os.path.join(context, "tree"), count, total)
    return context


def _noop_context(place: Place) -> Made:
    return Made(_tree(place, "FROM busybox\nCOPY tree /tree\nRUN echo done > /done\n"))


def _steps(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    steps = "".join(f"RUN echo {number} > /made-{number}\n" for number in range(30))
    material.write_dockerfile(context, f"FROM busybox\n{steps}")
    return Made(context)


def _copy(place: Place) -> Made:
    return Made(_tree(place, "FROM busybox\nCOPY tree /tree\n"))


BETWEEN = "FROM busybox AS first\nCOPY tree /tree\n\nFROM busybox\nCOPY --from=first /tree /srv/tree\n"


def _copy_from(place: Place) -> Made:
    return Made(_tree(place, BETWEEN))


def _edit(place: Place) -> Made:
    context = _tree(place, BETWEEN)

    def change(run: int) -> None:
        with open(os.path.join(context, "tree", material.file_name(5_000)), "w", encoding="utf-8") as file:
            file.write(f"edited for run {run}\n")

    return Made(context, change)


def _export(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    material.write_dockerfile(context, "FROM busybox\nCOPY large /large\n")
    material.write_half(os.path.join(context, "large"), 500 << 20)
    return Made(context)


LAZY = """\
FROM busybox AS first
RUN mkdir /made && echo made > /made/file

FROM {base}
COPY --from=first /made /opt/made
"""


def _pushed(place: Place, layers: int, megabytes: int, name: str) -> str:
    if place.registry is None:
        raise ValueError("no registry")
    layout = os.path.join(place.folder, "layout")
    material.image(layout, layers, (megabytes << 20) // layers, name, on=recipes._busybox_tree)
    reference = place.registry.push(layout, name)
    shutil.rmtree(layout)
    return reference


def _lazy(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    material.write_dockerfile(context, LAZY.format(base=_pushed(place, 4, 200, "large")))
    return Made(context)


def _pull(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    material.write_dockerfile(context, f"FROM {_pushed(place, 5, 150, 'layers')}\nRUN true\n")
    return Made(context)


def _fan_out(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    make = "sleep 1 && mkdir /out && for i in $(seq 20); do echo $i > /out/{0}-$i; done"
    stages = "".join(f"FROM busybox AS s{number}\nRUN {make.format(number)}\n" for number in range(8))
    joined = "".join(f"COPY --from=s{number} /out /out\n" for number in range(8))
    material.write_dockerfile(context, f"{stages}FROM busybox\n{joined}")
    return Made(context)


def _cut_off(place: Place) -> Made:
    context = os.path.join(place.folder, "context")
    tail = "".join(f"RUN echo {number} > /tail-{number}\n" for number in range(20))
    first = "FROM busybox AS first\nCOPY input /input\nRUN mkdir /out && echo same > /out/file\n"
    material.write_dockerfile(context, f"{first}FROM busybox\nCOPY --from=first /out /out\n{tail}")

    def change(run: int) -> None:
        with open(os.path.join(context, "input"), "w", encoding="utf-8") as file:
            file.write(f"{run} {random.Random(run).random()}\n")

    change(0)
    return Made(context, change)


NODE = ("node:14.4.0", "node:14.4.0-alpine")
ALL = (
    Workload(
        "noop",
        "the two-stage Node example, nothing changed",
        (1.0, 0.10),
        _noop,
        bases=NODE,
        cold=False,
    ),
    Workload(
        "noop-context", "12,000 files, 230 MB in the context, nothing changed", (0.8, 0.10), _noop_context, cold=False
    ),
    Workload("steps", "30 tiny RUNs over busybox, cold", (0.6, 0.25), _steps),
    Workload("copy", "COPY of those 12,000 files, cold, no export", (0.6, 0.4), _copy, floor="copy"),
    Workload(
        "copy-from",
        "the same between stages, final image exported as OCI",
        (0.5, 0.4),
        _copy_from,
        export=True,
        floor="copy-pack",
    ),
    Workload(
        "edit",
        "one of the 12,000 files changed, then exported",
        (0.6, 0.4),
        _edit,
        cold=False,
        export=True,
        floor="pack",
    ),
    Workload(
        "export",
        "one 500 MB layer, half compressible, to an OCI archive with gzip",
        (0.35, 0.8),
        _export,
        export=True,
        floor="sum-large",
    ),
    Workload(
        "lazy", "final stage of COPY only, on a 200 MB base from a loopback registry", (0.25, 0.15), _lazy, pulls=True
    ),
    Workload(
        "fan-out", "8 independent stages of 1 s of sleep and some files, joined by COPY --from", (0.8, 0.2), _fan_out
    ),
    Workload(
        "pull",
        "a 150 MB image of 5 layers from a loopback registry, unpacked for a RUN",
        (0.8, 0.7),
        _pull,
        bases=(),
        pulls=True,
    ),
    Workload(
        "cutoff", "early stage re-run with equal output, long tail of steps after it", (0.8, 0.2), _cut_off, cold=False
    ),
)


def layouts(workload: Workload) -> dict[str, str]:
    """The layouts of its bases, by name, assembled now where no earlier run has done it."""
    return {name: assemble.base(name) for name in workload.bases}


def scaled(place: Place, count: int) -> Made:
    """COPY of `count` files between stages: how cost grows."""
    return Made(_tree(place, BETWEEN, count, scaled_bytes(count)))


def scaled_bytes(count: int) -> int:
    """The size of that many files, each of the mean size of the 12,000."""
    return material.FILES_BYTES // material.FILES * count
