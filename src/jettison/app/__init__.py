"""The one place that wires adapters into ports."""
