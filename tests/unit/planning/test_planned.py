"""A plan that is remembered is the plan that lowering gives, and is given only while all it depends on is as it was."""

import os

import msgspec
import pytest
from planning_world import World
from test_planning_goldens import FOLDER, options_of

from golden import HERE, read_golden
from jettison.app.planned import planned
from jettison.base.errors import JettisonError
from jettison.base.span import Source
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions
from jettison.syntax.parse import parse_dockerfile

TEXT = "FROM busybox AS first\nRUN true\nFROM alpine:3.20\nCOPY --from=first /a /\n"


class Kept:
    """The store's answers."""

    def __init__(self):
        self.known = {}
        self.put_count = 0

    def get(self, key):
        return self.known.get(key)

    def put(self, key, data):
        self.put_count += 1
        self.known[key] = data


class Moved(World):
    """A world in which one image became another."""

    def __init__(self, ref):
        super().__init__()
        self.ref = ref

    def resolve(self, need):
        found = super().resolve(need)
        return msgspec.structs.replace(found, digest="sha256:" + "d" * 64) if need.ref == self.ref else found


def plan_of(text, kept, world=None, **options):
    return planned(Source("Dockerfile", text), LowerOptions(**options), (world or World()).resolve, kept)


def lowered(text, world=None, **options):
    tree = parse_dockerfile(Source("Dockerfile", text))
    return drive(lower(tree, LowerOptions(**options)), (world or World()).resolve)


def outcome(make):
    """What it gives, or how it fails."""
    try:
        return make()
    except JettisonError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", sorted(os.listdir(os.path.join(HERE, FOLDER))))
def test_every_golden_plan_is_remembered_as_it_is(name):
    source = Source("Dockerfile", read_golden(f"{FOLDER}/{name}/Dockerfile"))
    options, kept = options_of(name), Kept()
    expected = outcome(lambda: drive(lower(parse_dockerfile(source), options), World().resolve))
    for _ in range(2):
        assert outcome(lambda: planned(source, options, World().resolve, kept)) == expected
    steps = () if isinstance(expected, str) else expected.steps
    proxied = any(getattr(getattr(step.op, "run_only", None), "proxy_env", ()) for step in steps)
    assert kept.put_count == (1 if steps and not proxied else 0)


def test_images_are_asked_for_each_time_where_the_file_names_them():
    kept, first, second = Kept(), World(), World()
    plan_of(TEXT, kept, first)
    plan_of(TEXT, kept, second)
    assert second.asked == first.asked
    assert [str(need.location) for need in second.asked] == ["Dockerfile:1", "Dockerfile:3"]


@pytest.mark.parametrize("ref", ["docker.io/library/busybox:latest", "docker.io/library/alpine:3.20"])
def test_another_image_is_another_plan(ref):
    kept = Kept()
    before = plan_of(TEXT, kept)
    world = Moved(ref)
    after = plan_of(TEXT, kept, world)
    assert after != before
    assert after == lowered(TEXT, Moved(ref))
    assert [need.ref for need in world.asked].count(ref) == 1
    assert plan_of(TEXT, kept, Moved(ref)) == after
    assert plan_of(TEXT, kept) == before


@pytest.mark.parametrize(
    "options",
    [
        {"build_args": {"A": "1"}},
        {"target": "first"},
        {"platform": "linux/arm64"},
        {"labels": {"a": "b"}},
        {"no_cache": True},
        {"contexts": {"busybox": "docker-image://alpine:3.20"}},
        {"secret_stamps": {"token": "x"}},
    ],
)
def test_other_options_are_another_plan(options):
    kept = Kept()
    plan_of(TEXT, kept)
    assert plan_of(TEXT, kept, **options) == lowered(TEXT, **options)
    assert len(kept.known) == 2
    assert plan_of(TEXT + "\n", kept) == lowered(TEXT + "\n")
    assert len(kept.known) == 3


def test_a_proxy_is_kept_nowhere():
    kept = Kept()
    plan = plan_of(TEXT, kept, proxy_env={"HTTP_PROXY": "http://user:password@proxy"})
    assert any("password" in str(step) for step in plan.steps)
    assert not kept.known


def test_a_text_that_is_not_utf8_is_planned_and_not_kept():
    kept, text = Kept(), TEXT + os.fsdecode(b"LABEL a=\xff\n")
    for _ in range(2):
        assert plan_of(text, kept) == lowered(text)
    assert not kept.known


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xc1", b"\x94\x80\x90\x90\x90"])
def test_a_damaged_memory_costs_time_alone(data):
    kept = Kept()
    plan = plan_of(TEXT, kept)
    kept.known = dict.fromkeys(kept.known, data)
    assert plan_of(TEXT, kept) == plan
    assert plan_of(TEXT, kept) == plan
    assert kept.put_count == 2


def told(text, kept):
    """What happened, in order: an image was asked for, or the plan was said to be new."""
    happened = []
    world = World()

    def resolve(need):
        happened.append("image")
        return world.resolve(need)

    planned(Source("Dockerfile", text), LowerOptions(), resolve, kept, lambda: happened.append("new"))
    return happened


def test_a_new_plan_with_work_in_it_is_told_of_before_images_are_asked_for():
    kept = Kept()
    assert told("FROM busybox\nRUN true\n", kept)[:2] == ["new", "image"]
    assert told("FROM busybox\nRUN true\n", kept) == ["image"]


def test_a_new_plan_without_work_is_not_told_of():
    assert told('FROM busybox\nCMD ["sh"]\n', Kept()) == ["image"]
