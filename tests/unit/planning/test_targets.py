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
    assert (made.name, [arg.name for arg in made.args]) == ("unreached", ["NOTHING"])


def test_outline_names_the_global_args_that_are_used() -> None:
    text = "ARG A=1 B=$A C=2\nARG D=${C}\nARG E F G=${H:-$E\nFROM busybox${B:+:latest} AS s\nARG F\nARG OWN=$C\n"
    made = outline(parse_dockerfile(Source("Dockerfile", text)), plan(text.replace(" G=${H:-$E", "")))
    assert [arg.name for arg in made.args] == ["A", "B", "F", "OWN"]
    text = "ARG P=$Q Q=linux/amd64\nARG R=$P\nFROM --platform=$R busybox\n"
    made = outline(parse_dockerfile(Source("Dockerfile", text)), plan(text, build_args={"R": "linux/amd64"}))
    assert [arg.name for arg in made.args] == ["P", "R"]
