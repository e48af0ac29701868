"""A bench for solves on fakes, and the plan that most tests solve."""

import pytest

from fakes.plans import CONTEXT, copy, image, run
from fakes.ports import Bench
from jettison.planning.graph import Step


@pytest.fixture
def bench() -> Bench:
    return Bench()


def two_stages(command: str = "make") -> tuple[Step, ...]:
    """A build stage on one image, and a final one on another that copies one path out of it."""
    return (
        CONTEXT,
        image("node"),
        copy("build.1", "/src", "image:node", "context"),
        run("build.2", command, "build.1"),
        image("slim", "sha256:" + "c" * 64),
        copy("app.1", "/out", "image:slim", "build.2"),
        run("app.2", "true", "app.1"),
    )
