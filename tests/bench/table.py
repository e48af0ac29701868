"""What is printed, and what docs/benchmarks.md gets."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence

from bench.measure import Outcome
from bench.workloads import Workload

HOW = """\
- Seconds are medians of {runs} runs in which the builders took turns; a ratio (jettison / peer) is the median of the
  ratios of runs side by side. Times are this machine's; ratios are what carries over. **Bold**: a missed target.
- `cpu s`: user and system time of jettison's processes. `MiB`: the most memory of its largest process; `all MiB`: of
  all of them at one time, shared pages counted once (in a run of its own).
- docker is Debian's, its daemon hot, building by the BuildKit within it, which writes no OCI archive: where one is
  wanted skopeo makes it of the daemon's image, as buildah's push does of its storage.
- floor: `cp -a`, `tar` and `sha256sum` of the same bytes, one after the other.
"""


def header(peers: Sequence[str]) -> str:
    """The heading of the printed table."""
    columns = "".join(f"{peer:>10}{'ratio':>7}{'target':>8}" for peer in peers)
    return f"{'workload':<13}{'jettison':>9}{'cpu':>7}{columns}{'MiB':>6}{'all':>6}   floor"


def line(outcome: Outcome, peers: Sequence[str]) -> str:
    """A workload's line: seconds, medians; `!` marks a missed target."""
    ours = outcome.figures["jettison"]
    text = f"{outcome.workload.name:<13}{ours.wall_s:>9.3f}{ours.cpu_s:>7.2f}"
    for peer in peers:
        text += f"{outcome.figures[peer].wall_s:>10.3f}{outcome.ratios[peer]:>7.2f}"
        text += f"{'≤ ' + format(target(outcome.workload, peer), '.2f'):>7}{'!' if is_miss(outcome, peer) else ' '}"
    least = f"   {outcome.floor[1]:.2f} ({outcome.floor[0]})" if outcome.floor else ""
    return f"{text}{ours.peak_mib:>6.0f}{outcome.together_mib:>6.0f}{least}"


def target(workload: Workload, peer: str) -> float:
    """The ratio to reach to a peer."""
    return workload.targets[1 if peer == "buildah" else 0]


def is_miss(outcome: Outcome, peer: str) -> bool:
    """Whether the ratio to a peer is above its target."""
    return outcome.ratios[peer] > target(outcome.workload, peer)


def scaling(counts: Iterable[int], seconds: Mapping[int, tuple[float, float, float]]) -> list[str]:
    """Lines for COPY between stages with more and more files: wall, cpu and memory."""
    lines = [f"{'files':>8}{'seconds':>9}{'cpu':>7}{'µs/file':>9}{'MiB':>6}"]
    for count in counts:
        wall, cpu, peak = seconds[count]
        lines.append(f"{count:>8}{wall:>9.2f}{cpu:>7.2f}{wall / count * 1e6:>9.0f}{peak:>6.0f}")
    return lines


def document(
    outcomes: Sequence[Outcome], versions: Mapping[str, str], disk: str, runs: int, scaled: Sequence[str]
) -> str:
    """docs/benchmarks.md."""
    peers = [name for name in versions if name != "jettison"]
    heads = ["workload", "what", "jettison s", "cpu s"]
    for peer in peers:
        heads += [f"{peer} s", "ratio", "target"]
    heads += ["MiB", "all MiB", "floor s"]
    rows = [heads, ["---"] * len(heads), *(_row(outcome, peers) for outcome in outcomes)]
    lines = [
        "# Benchmarks",
        "",
        "Written by `scripts/bench --write`; not by hand.",
        "",
        f"- {time.strftime('%Y-%m-%d', time.gmtime())}, {_machine()}",
        f"- everything on {disk}",
        f"- {', '.join(f'{name} {version}' for name, version in versions.items())}",
        *HOW.format(runs=runs).splitlines(),
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    if scaled:
        lines += ["", "COPY of more and more files between two stages, exported:", "", "```", *scaled, "```"]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome, peers: Sequence[str]) -> list[str]:
    ours = outcome.figures["jettison"]
    cells = [outcome.workload.name, outcome.workload.what, f"{ours.wall_s:.3f}", f"{ours.cpu_s:.2f}"]
    for peer in peers:
        ratio = f"{outcome.ratios[peer]:.2f}"
        cells += [
            f"{outcome.figures[peer].wall_s:.3f}",
            f"**{ratio}**" if is_miss(outcome, peer) else ratio,
            f"≤ {target(outcome.workload, peer):.2f}",
        ]
    least = f"{outcome.floor[1]:.2f} ({outcome.floor[0]})" if outcome.floor else ""
    return [*cells, f"{ours.peak_mib:.0f}", f"{outcome.together_mib:.0f}", least]


def _machine() -> str:
    model = "a processor"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{len(os.sched_getaffinity(0))} processors ({model}), {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )
