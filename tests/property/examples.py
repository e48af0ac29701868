"""How many examples Hypothesis tries: the suite's number, times `JETTISON_EXAMPLES`, which `scripts/soak` sets."""

import os

TIMES = int(os.environ.get("JETTISON_EXAMPLES", "1"))


def examples(number: int) -> int:
    """The number for this run."""
    return number * TIMES
