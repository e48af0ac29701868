"""A step that runs again says in one line what changed, and names the right thing."""

from __future__ import annotations

import json
import os
import shutil
from typing import NamedTuple

import pytest

import platforms
from bases.layout import Layer
from caches import Built, Layout, Machines
from jettison.app.request import CacheSource, CacheTarget, Secret
from jettison.oci.platform import format_platform, host_platform

pytestmark = pytest.mark.root

HERE = format_platform(host_platform())


class Change(NamedTuple):
    """One stage's line before and after (the same when something else changes), and what is told of it then."""

    before: str
    after: str
    told: str


CHANGES = {
    "file": Change("COPY src/file /to", "", "src/file changed"),
    "file-of-a-directory": Change(
        "COPY tree /to", "", "tree/sub/added is new, tree/sub/changed changed, tree/gone is gone"
    ),
    "mode": Change("COPY program /to", "", "program changed"),
    "bind": Change("RUN --mount=type=bind,source=src,target=/m cat /m/file", "", "src/file changed"),
    "named-context": Change("COPY --from=named file /to", "", "file changed"),
    "arg": Change("ARG ONE=1\nRUN echo $ONE", "", 'ONE changed from "1" to "2"'),
    "default-of-an-arg": Change("ARG TWO=1\nRUN true", "ARG TWO=2\nRUN true", 'TWO changed from "1" to "2"'),
    "env": Change("ENV THREE=1\nRUN true", "ENV THREE=2\nRUN true", 'THREE changed from "1" to "2"'),
    "new-env": Change("RUN true", "ENV FOUR=2\nRUN true", "FOUR is new"),
    "password": Change("ENV DB_PASSWORD=1\nRUN true", "ENV DB_PASSWORD=2\nRUN true", "DB_PASSWORD changed"),
    "command": Change("RUN echo 1", "RUN echo 2", "the command changed"),
    "workdir": Change(
        "WORKDIR /one\nRUN true",
        "WORKDIR /two\nRUN true",
        'the working directory changed from "/one" to "/two", the step before it changed',
    ),
    "user": Change("USER 1\nRUN true", "USER 2\nRUN true", 'the user changed from "1" to "2"'),
    "network": Change("RUN true", "RUN --network=none true", "--network is new"),
    "chmod": Change("COPY same /to", "COPY --chmod=600 same /to", "--chmod is new"),
    "chown": Change("COPY --chown=1 same /to", "COPY --chown=2 same /to", '--chown changed from "1" to "2"'),
    "exclude": Change(
        "COPY tre[e] /to",
        "COPY --exclude=x tre[e] /to",
        "--exclude is new, tree/sub/added is new, tree/sub/changed changed, and 1 more",
    ),
    "destination": Change("COPY same /one", "COPY same /two", 'the destination changed from "/one" to "/two"'),
    "source": Change("COPY same /to", "COPY src/other /to", "source 1 changed, src/other is new, same is gone"),
    "heredoc": Change("COPY <<EOF /to\none\nEOF", "COPY <<EOF /to\ntwo\nEOF", "source 1 changed"),
    "before": Change("RUN echo 1 > /x\nRUN cat /x", "RUN echo 2 > /x\nRUN cat /x", "the step before it changed"),
    "stage": Change("COPY --from=before /x /to", "", "files from stage before changed"),
    "on-a-stage": Change("RUN true", "", "stage before changed"),
    "base": Change("COPY same /to", "", "the base image oci-layout://FOLDER/base-two changed"),
    "secret": Change("RUN --mount=type=secret,id=token true", "", "secret token changed"),
    "secret-new": Change("RUN --mount=type=secret,id=late true", "", "secret late is new"),
}
BASES = {"on-a-stage": "before", "base": "other"}
ORDER = ("before", *(name for name in CHANGES if name != "before"))


def dockerfile(*, after: bool) -> str:
    lines = []
    for name in ORDER:
        change = CHANGES[name]
        lines += [f"FROM {BASES.get(name, 'busybox')} AS {name}", (change.after if after else "") or change.before]
    lines += ["FROM scratch", *(f"COPY --from={name} /tm[p] /{name}/" for name in ORDER)]
    return "\n".join(lines) + "\n"


class Site(Machines):
    """The project of all changes, beside a named context and another base."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.named = os.path.join(folder, "named")
        self.token = os.path.join(folder, "token")
        for path in (
            "src/file",
            "src/other",
            "tree/sub/changed",
            "tree/gone",
            "tree/same",
            "same",
            "program",
            "../named/file",
        ):
            self.put(path, "one")
        self.put("../token", "one-secret")
        self.other = self.base_of("one")

    def put(self, path: str, text: str) -> None:
        full = os.path.join(self.context, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def change(self) -> None:
        for path in ("src/file", "tree/sub/changed", "tree/sub/added", "../named/file"):
            self.put(path, "two")
        os.unlink(os.path.join(self.context, "tree/gone"))
        os.chmod(os.path.join(self.context, "program"), 0o755)
        self.put("../token", "two-secrets")

    def base_of(self, text: str) -> str:
        """A base that holds a file of that text."""
        layer = Layer(text)
        layer.file("given", text)
        return platforms.of_layers(os.path.join(self.folder, f"base-{text}"), {HERE: layer})

    def run(self, **more: object) -> Built:
        secrets = (Secret(id="token", src=self.token, rebuild=True), Secret(id="late", src=self.token))
        fields = {"secrets": secrets, "contexts": {"named": self.named, "other": f"oci-layout://{self.other}"}}
        return self.build("here", **{**fields, **more})


def reasons(site: Machines, built: Built) -> dict[str, str]:
    """What the last step of each stage that ran says; also where it yielded what it had yielded before."""
    steps = built.result.record.steps
    return {step.stage: step.reason.replace(site.folder, "FOLDER") for step in steps if step.reason and step.stage}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(str(tmp_path_factory.mktemp("why")))


@pytest.fixture(scope="module")
def told(site: Site) -> dict[str, str]:
    """Everything changed at once."""
    first = reasons(site, site.run(dockerfile_text=dockerfile(after=False), build_args={}))
    assert set(first.values()) == {"first build of this step"}
    site.change()
    site.other = site.base_of("two")
    late = Secret(id="late", src=site.token, rebuild=True)
    token = Secret(id="token", src=site.token, rebuild=True)
    after = dockerfile(after=True)
    return reasons(site, site.run(dockerfile_text=after, build_args={"ONE": "2"}, secrets=(token, late)))


@pytest.mark.parametrize("name", ORDER)
def test_what_changed_is_named(told: dict[str, str], name: str) -> None:
    assert told.get(name) == CHANGES[name].told


TWO = """\
FROM busybox AS build
RUN echo one > /a
FROM scratch
COPY --from=build /a /
"""


@pytest.fixture
def two(tmp_path) -> Machines:
    made = Machines(str(tmp_path))
    made.write(Dockerfile=TWO)
    made.build("here")
    return made


def test_nothing_changed(two: Machines) -> None:
    assert reasons(two, two.build("here")) == {}


def test_no_cache(two: Machines) -> None:
    assert reasons(two, two.build("here", no_cache=True)) == {"build": "--no-cache", "stage-1": "--no-cache"}


def test_no_cache_of_a_stage(two: Machines) -> None:
    built = two.build("here", no_cache_filter=("BUILD",))
    assert reasons(two, built) == {"build": "--no-cache-filter build"}
    assert [step.hit for step in built.result.record.steps if step.stage == "stage-1"] == ["content"]


def test_a_stage_that_was_made_again_alone(tmp_path) -> None:
    made = Machines(str(tmp_path))
    stage = "FROM busybox AS build\nRUN cat /proc/sys/kernel/random/uuid > /made\n"
    text = stage + "FROM busybox\nCOPY --from=build /made /first\n"
    made.write(Dockerfile=text)
    made.build("here")
    made.build("here", no_cache=True, target="build")
    assert reasons(made, made.build("here")) == {"stage-1": "files from stage build changed"}
    made.write(Dockerfile=text + "COPY --from=build /made /second\nRUN cmp /first /second\n")
    made.build("here")
    assert reasons(made, made.build("here")) == {}


def test_a_stage_that_is_not_built_is_told_of(two: Machines) -> None:
    built = two.build("here", no_cache_filter=("build", "Biuld"))
    assert built.warnings == ["--no-cache-filter Biuld: no stage of that name is built"]


def test_another_platform(tmp_path) -> None:
    made = Machines(str(tmp_path))
    made.write(Dockerfile="FROM other\nCOPY given /\n", given="x")
    layers = {}
    for platform in ("linux/amd64", "linux/arm64"):
        layers[platform] = Layer(platform)
        layers[platform].file("of", platform)
    contexts = {"other": "oci-layout://" + platforms.of_layers(str(tmp_path / "other"), layers)}
    made.build("here", platforms=("linux/amd64",), contexts=contexts)
    told = reasons(made, made.build("here", platforms=("linux/arm64",), contexts=contexts))
    assert told == {"stage-0": "first build of this step for linux/arm64"}


def test_a_result_that_was_lost(two: Machines) -> None:
    for name in two.snapshots("here"):
        shutil.rmtree(os.path.join(two.store("here"), "store", "snapshots", name))
    told = reasons(two, two.build("here"))
    assert told == dict.fromkeys(("build", "stage-1"), "its earlier result is no longer in the store")


def test_another_context(two: Machines, tmp_path) -> None:
    other = Machines(str(tmp_path / "other"))
    other.write(Dockerfile=TWO.replace("one", "two"))
    other.store = two.store  # type: ignore[method-assign] - two contexts, one store
    assert reasons(two, other.build("here")) == dict.fromkeys(("build", "stage-1"), "first build of this step")


def test_a_change_is_one_to_the_build_before_and_not_to_what_ran_last(tmp_path) -> None:
    made = Machines(str(tmp_path))
    made.write(Dockerfile="FROM scratch\nCOPY one two /\n", one="1", two="1")
    made.build("here")
    made.write(one="2")
    made.build("here")
    made.write(one="1")  # as after `git checkout`: all of it is there already
    assert reasons(made, made.build("here")) == {}
    made.write(two="2")
    assert reasons(made, made.build("here")) == {"stage-0": "two changed"}


def test_a_change_where_all_was_found_is_one_to_that(two: Machines, tmp_path) -> None:
    other = Machines(str(tmp_path / "other"))
    other.write(Dockerfile=TWO)
    other.store = two.store  # type: ignore[method-assign] - the same files in another directory, one store
    assert reasons(other, other.build("here")) == {}
    other.write(Dockerfile=TWO.replace("echo one", "echo two"))
    told = {"build": "the command changed", "stage-1": "files from stage build changed"}
    assert reasons(other, other.build("here")) == told


CI = """\
FROM busybox AS deps
COPY lock /lock
FROM busybox AS build
ARG VERSION=1
RUN echo $VERSION > /version
COPY --from=deps /lock /lock
COPY src /src
RUN cat /src/* > /out
FROM scratch
COPY --from=build /out /version /
"""


def test_a_machine_that_has_nothing_but_a_cache_says_what_changed_since_that(tmp_path) -> None:
    made, place = Machines(str(tmp_path)), str(tmp_path / "cache")
    to, of = CacheTarget(type="local", dest=place, mode="max"), CacheSource(type="local", src=place)
    made.write(Dockerfile=CI, lock="1")
    os.makedirs(f"{made.context}/src")
    made.write(**{"src/a": "1", "src/b": "1"})
    made.build("first", to=to, build_args={"VERSION": "hunter2"})
    assert "hunter2" not in json.dumps(Layout(place).document)
    again = made.build("second", of=of, to=to, build_args={"VERSION": "hunter2"})
    assert again.ran == []  # of what it hands on
    made.write(**{"src/b": "2"})
    third = made.build("third", of=of, build_args={"VERSION": "hunter2"})
    assert [step.reason for step in third.result.record.steps if step.reason] == [
        "src/b changed",
        "the step before it changed",
        "files from stage build changed",
    ]
    made.write(**{"src/b": "1"})
    fourth = made.build("fourth", of=of)
    assert next(step.reason for step in fourth.result.record.steps if step.reason) == "VERSION changed"


def test_a_name_that_no_reader_takes_costs_the_reason_and_not_the_cache(tmp_path) -> None:
    made, place = Machines(str(tmp_path)), str(tmp_path / "cache")
    to, of = CacheTarget(type="local", dest=place, mode="max"), CacheSource(type="local", src=place)
    made.write(Dockerfile=f"FROM busybox\nENV {'N' * 5000}=1\nRUN echo one > /one\n")
    made.build("first", to=to)
    second = made.build("second", of=of)
    assert second.ran == second.warnings == []


def test_what_a_cache_says_of_a_stage_is_found_where_a_line_came_in(tmp_path) -> None:
    made, place = Machines(str(tmp_path)), str(tmp_path / "cache")
    to, of = CacheTarget(type="local", dest=place, mode="max"), CacheSource(type="local", src=place)
    made.write(Dockerfile="FROM busybox\nCOPY one /\nCOPY two /\n", one="1", two="1")
    made.build("first", to=to)
    made.write(Dockerfile="FROM busybox\nRUN echo new > /new\nCOPY one /\nCOPY two /\n", two="2")
    told = [step.reason for step in made.build("second", of=of).result.record.steps if step.reason]
    assert told == [
        "another instruction stood here",
        "the step before it changed",
        "two changed, the step before it changed",
    ]
