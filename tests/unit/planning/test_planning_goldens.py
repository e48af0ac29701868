"""Dockerfiles and the plans, or the errors, that they give. Add one: make a folder with a Dockerfile (and options.json,
the fields of LowerOptions), run --update-golden, and read what it wrote."""

import os

import msgspec
import pytest
from planning_world import World

from golden import HERE, Golden, read_golden
from jettison.base.errors import JettisonError
from jettison.base.span import Source
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions
from jettison.planning.render import render
from jettison.syntax.parse import parse_dockerfile

FOLDER = "planning"


def options_of(name: str) -> LowerOptions:
    path = f"{FOLDER}/{name}/options.json"
    if not os.path.exists(os.path.join(HERE, path)):
        return LowerOptions()
    return msgspec.json.decode(read_golden(path).encode(), type=LowerOptions)


@pytest.mark.parametrize("name", sorted(os.listdir(os.path.join(HERE, FOLDER))))
def test_plan(name: str, golden: Golden) -> None:
    world = World()
    lines: list[str] = []

    def warn(rule: str, message: str, _span: object) -> None:
        lines.append(f"lint {rule}: {message}\n")

    try:
        tree = parse_dockerfile(Source("Dockerfile", read_golden(f"{FOLDER}/{name}/Dockerfile")))
        shown = render(drive(lower(tree, options_of(name), warn), world.resolve))
    except JettisonError as error:
        shown = f"{type(error).__name__}\n{error}\n"
    asked = [f"asked {need.ref} for {need.platform}, written {need.written}\n" for need in world.asked]
    golden.check(f"{FOLDER}/{name}/expected.txt", "".join(asked + lines) + shown)
