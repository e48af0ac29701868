"""Plans of several platforms: ids of their own, one step for what they share, and what is shown of both."""

import pytest
from planning_world import plan

from jettison.planning.graph import Plan
from jettison.planning.merge import merge, own_name

CROSS = """\
FROM --platform=$BUILDPLATFORM busybox AS build
RUN tools
ARG TARGETARCH
COPY . /src
RUN make
FROM busybox
COPY --from=build /made /
"""
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")


def plans(text: str = CROSS, platforms: tuple[str, ...] = PLATFORMS, **options: object) -> list[Plan]:
    return [plan(text, platform=platform, show_platform=True, contexts={}, **options) for platform in platforms]


def displays(made: Plan) -> list[str]:
    return [step.display for step in made.steps if step.display.startswith("[linux")]


def test_what_is_for_the_build_platform_is_one_step_until_the_target_counts() -> None:
    merged = merge(plans())
    ids = [{step.id for step in made.steps} for made in merged]
    shared = ids[0] & ids[1] & ids[2]
    assert {own_name(name, "linux/amd64") for name in shared} == {
        "image:busybox@linux/amd64",
        "build.2",
        "local:context",
        "build.3",
    }
    assert {name.partition(" ")[0] for name in ids[1] - shared} == {"linux/arm64"}


def test_a_merged_plan_is_whole() -> None:
    for alone, made in zip(plans(), merge(plans()), strict=True):
        assert [own_name(step.id, made.platform) for step in made.steps if step.id.startswith(made.platform)]
        known = set()
        for step in made.steps:
            assert known.issuperset(step.inputs)
            known.add(step.id)
        assert {made.result, *made.lineage, *(entry.step for entry in made.history if entry.step)} <= known
        assert made.lineage[-1] == made.result
        assert (made.config, made.warnings, len(made.history)) == (alone.config, alone.warnings, len(alone.history))


def test_equal_steps_of_one_plan_stay_two() -> None:
    text = "FROM busybox AS a\nRUN x\nFROM busybox AS b\nRUN x\nFROM scratch\nCOPY --from=a /x /\nCOPY --from=b /x /\n"
    for made in merge(plans(text)):
        assert {own_name(step.id, made.platform) for step in made.steps} >= {"a.2", "b.2"}


def test_one_plan_is_left_alone() -> None:
    made = plan(CROSS)
    assert merge([made]) == (made,)


def test_a_stage_that_knows_its_target_shows_it() -> None:
    shown = [text.partition(" FROM ")[0] for text in displays(plans()[1]) if " build " in text]
    assert shown == [
        "[linux/amd64 build 1/4]",
        "[linux/amd64 build 2/4] RUN tools",
        "[linux/amd64->arm64 build 3/4] COPY . /src",
        "[linux/amd64->arm64 build 4/4] RUN make",
    ]


@pytest.mark.parametrize(
    ("arg", "platform", "shown"),
    [
        ("TARGETPLATFORM", "linux/arm/v7", "linux/amd64->arm/v7"),
        ("TARGETPLATFORM", "linux/amd64", "linux/amd64"),
        ("TARGETPLATFORM=windows/amd64", "linux/amd64", "linux/amd64->windows/amd64"),
        ("TARGETPLATFORM=no/such/platform/at/all", "linux/arm64", "linux/amd64"),
        ("TARGETOS", "linux/arm64", "linux/amd64"),
        ("TARGETARCH", "linux/arm/v6", "linux/amd64->arm/v7"),
        ("TARGETARCH TARGETVARIANT", "linux/arm/v6", "linux/amd64->arm/v6"),
        ("TARGETARCH=", "linux/arm64", "linux/amd64"),
        ("BUILDARCH", "linux/arm64", "linux/amd64"),
    ],
)
def test_the_target_that_is_shown(arg: str, platform: str, shown: str) -> None:
    text = f"FROM --platform=$BUILDPLATFORM busybox\nARG {arg}\nRUN x\n"
    assert displays(plans(text, (platform,))[0])[-1] == f"[{shown} 2/2] RUN x"
