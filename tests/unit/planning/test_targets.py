"""What `--call=targets` and `--call=outline` are told."""

from planning_world import plan

from jettison.base.span import Source
from jettison.planning.targets import Outline, OutlineArg, OutlineUse, Target, list_targets, outline
from jettison.syntax.parse import parse_dockerfile

TEXT = """\
# VERSION of the thing
ARG VERSION=1
# build makes it
FROM --platform=$BUILDPLATFORM busybox:latest AS build
ARG VERSION
ARG DEBUG
RUN --mount=type=secret,id=s --mount=type=secret,id=s,env=S,required --mount=type=ssh --mount=type=cache,target=/c x
FROM scratch AS unreached
ARG NOTHING=here
FROM busybox
COPY --from=build /x /
"""


def test_targets() -> None:
    build, unreached, last = list_targets(parse_dockerfile(Source("Dockerfile", TEXT)))
    assert build == Target(
        name="build", description="makes it", base="busybox:latest", platform="$BUILDPLATFORM", line=4
    )
    assert unreached == Target(name="unreached", base="scratch", line=8)
    assert last == Target(default=True, base="busybox", line=10)


def test_outline_of_the_last_stage() -> None:
    assert outline(parse_dockerfile(Source("Dockerfile", TEXT)), plan(TEXT)) == Outline(
        args=(
            OutlineArg(name="VERSION", default="1", description="of the thing", line=2),
            OutlineArg(name="DEBUG", line=6),
        ),
        secrets=(OutlineUse(id="s", required=True),),
        ssh=(OutlineUse(id="default"),),
        caches=(OutlineUse(id="/c"),),
    )


def test_outline_of_a_named_target() -> None:
    made = outline(parse_dockerfile(Source("Dockerfile", TEXT)), plan(TEXT, target="unreached"))
    assert (made.name, [arg.name for arg in made.args]) == ("unreached", ["VERSION", "NOTHING"])
