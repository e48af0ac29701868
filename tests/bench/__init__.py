"""The benchmark behind scripts/bench: workloads, the builders that run them, and how a run is measured."""
