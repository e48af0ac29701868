"""The targets of a workload, and which of them are missed."""

from __future__ import annotations

from collections.abc import Mapping

from bench.workloads import Workload

MEMORY_MIB = 150


def ratio(workload: Workload, peer: str) -> float:
    """The ratio to reach to a peer."""
    return workload.targets[1 if peer == "buildah" else 0]


def missed(workload: Workload, ratios: Mapping[str, float], peak_mib: float) -> list[str]:
    """What of a workload's targets is missed, in words."""
    found = [
        f"{reached:.2f} of {peer}, target {ratio(workload, peer):.2f}"
        for peer, reached in ratios.items()
        if reached > ratio(workload, peer)
    ]
    return [*found, f"{peak_mib:.0f} MiB, target {MEMORY_MIB}"] if peak_mib > MEMORY_MIB else found
