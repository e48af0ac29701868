"""Hypothesis as the suite runs it: the same examples every time, no data base, no deadline on a shared machine.

In the long form (`examples.py`) they are others every time.
"""

from examples import TIMES, examples
from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    derandomize=TIMES == 1,
    database=None,
    deadline=None,
    max_examples=examples(300),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
