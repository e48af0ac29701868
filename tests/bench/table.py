"""What is printed, and what docs/benchmarks.md gets."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench import bounds, profiling, targets
from bench.measure import Outcome

HOW = """\
- Seconds are medians of {runs} runs in which the builders took turns, another one first in every run. A ratio
  (jettison / peer) is the median of the ratios of runs side by side. Times are this machine's; ratios are what carries
  over. **Bold**: a missed target.
- cold: the builder's store holds nothing but the base, unpacked. The kernel's cache is warm for everybody: contexts and
  bases were written just before. `sync` comes before every timed run, so that nobody pays for another's writing; what a
  builder syncs of its own accord is in its time. (BuildKit and buildah sync their data bases; jettison syncs nothing,
  and proves after a crash what it finds.)
- jettison is what `pip install .` puts into an environment of its own. docker is Debian's, its daemon hot, building by
  the BuildKit within it. buildah builds with --layers, without which it keeps no cache, and with chroot isolation, its
  quickest. Every build ends with a named image in the builder's own store, the digests of its layers known. (In `lazy`
  jettison fetches the base's layers and reads what is in them, but unpacks nothing.)
- Where an archive is wanted, jettison writes it in the build. docker's BuildKit cannot, nor does buildah: skopeo and
  `buildah push` make it of what was built. That part of their time is in parentheses.
- `cpu s`: user and system time of jettison's processes. `MiB`: the most memory of its largest process (target:
  {memory}); `all`: of all of them at one time, shared pages counted once, in a run of its own.
- floor: `cp -a`, `tar` and `sha256sum` of the same bytes, one after the other.
"""
LINE_WIDTH = 80
PROFILES = f"""\
Each profile is of one more run, by py-spy: {profiling.RATE} times a second it noted of each thread of jettison's
processes in which function it was. What a function asks of the kernel or of a library in C is its own, what it calls in
Python is not. A thread that waits, for another one, for a process or for the network, is not counted; one that waits
for a processor or the disk is. The commands of a RUN are not Python, and not seen; of a process that lives for only
some milliseconds little is. So the samples are compared with the processor time of the timed runs: below 100% some was
not seen, above it something waited for a processor or the disk. The processes ([architecture](architecture.md)): the
driver is what was started; the keeper, and its children, one for a request, do the steps; a worker makes files for a
child.
"""


class Conditions(NamedTuple):
    """Under which the figures came about. `load`: the load averages of a minute, before and after."""

    versions: Mapping[str, str]
    disk: str
    runs: int
    load: tuple[float, float]


def header(peers: Sequence[str]) -> str:
    """The heading of the printed table."""
    columns = "".join(f"{peer:>10}{'ratio':>7}{'target':>8}" for peer in peers)
    return f"{'workload':<13}{'jettison':>9}{'cpu':>7}{columns}{'MiB':>6}{'all':>6}{'took':>6}   floor"


def line(outcome: Outcome, peers: Sequence[str]) -> str:
    """A workload's line: seconds, medians; `!` marks a missed target."""
    ours = outcome.figures["jettison"]
    text = f"{outcome.workload.name:<13}{ours.wall_s:>9.3f}{ours.cpu_s:>7.2f}"
    for peer in peers:
        if peer not in outcome.figures:
            text += f"{'failed':>10}{'':>7}{'':>8}"
            continue
        text += f"{outcome.figures[peer].wall_s:>10.3f}{outcome.ratios[peer]:>7.2f}"
        text += (
            f"{'≤ ' + format(targets.ratio(outcome.workload, peer), '.2f'):>7}{'!' if is_miss(outcome, peer) else ' '}"
        )
    least = f"   {outcome.floor[1]:.2f} ({outcome.floor[0]})" if outcome.floor else ""
    memory = (
        f"{ours.peak_mib:>5.0f}{'!' if ours.peak_mib > targets.MEMORY_MIB else ' '}{outcome.spent.together_mib:>6.0f}"
    )
    return f"{text}{memory}{outcome.took_s:>5.0f}s{least}"


def is_miss(outcome: Outcome, peer: str) -> bool:
    """Whether the ratio to a peer is above its target."""
    return outcome.ratios[peer] > targets.ratio(outcome.workload, peer)


def missed(outcome: Outcome) -> list[str]:
    """What of a workload's targets is missed, in words."""
    return targets.missed(outcome.workload, outcome.ratios, outcome.figures["jettison"].peak_mib)


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many targets were met."""
    count = sum(len(outcome.ratios) + 1 for outcome in outcomes)
    return f"{count - sum(len(missed(outcome)) for outcome in outcomes)} of {count} targets met"


def document(outcomes: Sequence[Outcome], conditions: Conditions, parsed: str, scaled: Sequence[str]) -> str:
    """docs/benchmarks.md."""
    peers = [name for name in conditions.versions if name != "jettison"]
    before, after = conditions.load
    heads = ["workload", "what", "jettison s", "cpu s"]
    for peer in peers:
        heads += [f"{peer} s", "ratio", "target"]
    heads += ["MiB", "all", "floor s"]
    rows = [heads, ["---"] * len(heads), *(_row(outcome, peers) for outcome in outcomes)]
    lines = [
        "# Benchmarks",
        "",
        "Written by `scripts/bench --write`; not by hand.",
        "",
        f"- {time.strftime('%Y-%m-%d', time.gmtime())}, {_machine()}",
        f"- everything on {conditions.disk}; load average {before:.1f} before, {after:.1f} after",
        f"- {', '.join(f'{name} {version}' for name, version in conditions.versions.items())}, {_runtimes()}",
        *HOW.format(runs=conditions.runs, memory=targets.MEMORY_MIB).splitlines(),
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        f"{summary(outcomes)}.",
        *_failures(outcomes),
        *_misses(outcomes),
    ]
    if scaled:
        lines += ["", "## More and more files", "", "COPY between two stages, exported as an OCI archive, cold:", ""]
        lines += ["```", *scaled, "```"]
    if parsed:
        lines += ["", "## Parsing", "", f"{parsed}."]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome, peers: Sequence[str]) -> list[str]:
    ours = outcome.figures["jettison"]
    cells = [outcome.workload.name, outcome.workload.what, f"{ours.wall_s:.3f}", f"{ours.cpu_s:.2f}"]
    for peer in peers:
        theirs = outcome.figures.get(peer)
        if theirs is None:
            cells += ["failed", "", ""]
            continue
        ratio = f"{outcome.ratios[peer]:.2f}"
        cells += [
            f"{theirs.wall_s:.3f}" + (f" ({theirs.export_s:.2f})" if theirs.export_s else ""),
            f"**{ratio}**" if is_miss(outcome, peer) else ratio,
            f"≤ {targets.ratio(outcome.workload, peer):.2f}",
        ]
    least = f"{outcome.floor[1]:.2f} ({outcome.floor[0]})" if outcome.floor else ""
    peak = f"{ours.peak_mib:.0f}"
    return [
        *cells,
        f"**{peak}**" if ours.peak_mib > targets.MEMORY_MIB else peak,
        f"{outcome.spent.together_mib:.0f}",
        least,
    ]


def _failures(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        for peer, said in outcome.failed.items():
            yield ""
            yield f"{peer} failed in {outcome.workload.name}: `{said.replace('`', ' ')}`"


def _misses(outcomes: Sequence[Outcome]) -> Iterator[str]:
    found = [outcome for outcome in outcomes if missed(outcome)]
    if found:
        yield from ("", "## What was missed, and what bounds it", "", *PROFILES.splitlines())
    for outcome in found:
        name, spent = outcome.workload.name, outcome.spent
        yield from ("", f"**{name}**: {'; '.join(missed(outcome))}.")
        if name in bounds.TEXTS:
            yield bounds.TEXTS[name]
        longest = "; ".join(f"`{display[:60].replace('`', ' ')}` {seconds:.2f} s" for display, seconds in spent.steps)
        yield f"Of {spent.wall_s:.2f} s, watched, {spent.build_s:.2f} s were the build. Longest steps: {longest}."
        yield from ("", *profiled(outcome.profile, outcome.figures["jettison"].cpu_s))


def profiled(profile: profiling.Profile | str, cpu_s: float) -> Iterator[str]:
    """A table of the rows, and of how much they are."""
    if isinstance(profile, str):
        yield f"No profile: {profile.replace('`', ' ')}."
        return
    took_s = profile.samples / profiling.RATE
    yield (
        f"Profile: {profile.samples} samples ({took_s:.2f} s), {took_s / cpu_s:.0%} of the {cpu_s:.2f} s of processor "
        f"time; {profile.waiting} more, of threads that waited, are left out."
    )
    yield from ("", "| share | process | function | mostly in the line |", "| ---: | --- | --- | --- |")
    for row in profile.rows[: profiling.ROWS]:
        function = row.function if row.function == profiling.IMPORTS else _code(row.function)
        yield f"| {row.samples / profile.samples:.0%} | {row.process} | {function} | {_code(row.line)} |"
    if others := profile.rows[profiling.ROWS :]:
        rest = sum(row.samples for row in others)
        yield f"| {rest / profile.samples:.0%} | | {len(others)} others | |"


def _code(text: str) -> str:
    """A short piece of code as a cell of a table."""
    return f"`{text[:LINE_WIDTH].replace('`', ' ').replace('|', chr(92) + '|')}`" if text else ""


def _machine() -> str:
    model = "a processor"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{len(os.sched_getaffinity(0))} processors ({model}), {memory:.0f} GiB, Linux {platform.release()}"


def _runtimes() -> str:
    """The versions of what runs builds for the others, as far as they are there."""
    found = [f"Python {platform.python_version()}"]
    for program in ("runc", "skopeo"):
        try:
            done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        found.append(f"{program} {done.stdout.split()[2]}")
    return ", ".join(found)
