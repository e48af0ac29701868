"""What bounds the workloads whose targets may be missed, shown in docs/benchmarks.md only where one is."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
