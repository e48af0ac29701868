"""Why a step runs again, in the words that a user reads."""

import msgspec
import pytest

from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.record.model import KeyPart
from jettison.solve.key import content_key, op_parts, sealed
from jettison.solve.why import FIRST_BUILD, GONE, labels, reason

LABELS = ("the step before it", "files of the build context", "files from stage build")


def parts(op: ops.AnyOp, *inputs: str, files: dict[str, str] | None = None) -> tuple[KeyPart, ...]:
    named = tuple(KeyPart(path, digest) for path, digest in (files or {}).items())
    return content_key(op_parts(op), inputs, named).parts


def run(command: str = "make", **fields: object) -> ops.RunOp:
    env = tuple(dict(fields.pop("env", {})).items())
    return ops.RunOp(args=("/bin/sh", "-c", command), env=env, cwd="/", **fields)


COPY = ops.CopyOp(sources=(ops.CopySource(1, "/a"), ops.CopySource(2, "/b")), dest="/", dest_is_dir=True)

ADD = msgspec.structs.replace(COPY, add=True)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (parts(run("make")), parts(run("make all")), "the command changed"),
        (parts(run(env={"V": "1"})), parts(run(env={"V": "2"})), 'V changed from "1" to "2"'),
        (parts(run(env={})), parts(run(env={"V": "2"})), "V is new"),
        (parts(run(env={"V": "1"})), parts(run(env={})), "V is gone"),
        (parts(run(env={"NPM_TOKEN": "a"})), parts(run(env={"NPM_TOKEN": "b"})), "NPM_TOKEN changed"),
        (parts(run(env={"V": "x" * 99})), parts(run(env={"V": "y"})), "V changed"),
        (parts(run(user="")), parts(run(user="node")), "the user changed"),
        (parts(run(network="host")), parts(run(network="none")), '--network changed from "host" to "none"'),
        (parts(COPY, "t1", "f1", "b1"), parts(COPY, "t2", "f1", "b1"), "the step before it changed"),
        (parts(COPY, "t1", "f1", "b1"), parts(COPY, "t1", "f1", "b2"), "files from stage build changed"),
        (parts(COPY, "t1", "f1", "b1"), parts(COPY, "t1", "f2", "b1"), "files of the build context changed"),
        (parts(run()), parts(COPY), "another instruction stood here"),
        (parts(ADD, "t", "f", "b"), parts(COPY, "t", "f", "b"), "another instruction stood here"),
        (parts(COPY, "t", "f", "b"), parts(COPY, "t", "f", "b"), GONE),
        (None, parts(COPY), FIRST_BUILD),
    ],
)
def test_reasons(before: tuple[KeyPart, ...] | None, after: tuple[KeyPart, ...], told: str):
    assert reason(before, after, LABELS) == told


def test_files_are_named_instead_of_the_context_they_are_in():
    before = parts(COPY, "t", "f1", "b", files={"package.json": "1", "old": "1", "same": "1"})
    after = parts(COPY, "t", "f2", "b", files={"package.json": "2", "new": "1", "same": "1"})
    assert reason(before, after, LABELS) == "package.json changed, new is new, old is gone"


def test_a_name_stays_in_one_line_and_says_nothing_to_a_terminal():
    after = parts(COPY, "t", "f2", "b", files={"a\nb": "1", "\x1b[2Jé": "1"})
    assert reason(parts(COPY, "t", "f1", "b"), after, LABELS) == r"a\nb is new, \x1b[2Jé is new"


@pytest.mark.parametrize(
    "name", ["input x", "input", "input ²", "source", "source 1 2", "mount -1", "env \x1b", "", "file "]
)
def test_what_a_cache_says_may_be_anything(name: str):
    after = parts(run("make"), "t1")
    assert reason((*after, KeyPart(name, "~1")), after, LABELS).isprintable()


def test_of_sealed_parts_a_change_is_told_and_no_value():
    before = sealed(parts(run("make", env={"V": "1"}), "t1"), "a key")
    after = sealed(parts(run("make", env={"V": "2"}), "t1"), "a key")
    assert reason(before, after, LABELS) == "V changed"
    assert reason(before, before, LABELS) == GONE
    assert before != sealed(parts(run("make", env={"V": "1"}), "t1"), "another key")


def test_with_another_parents_flag_files_have_other_names():
    before = parts(COPY, "t", "f1", "b", files={"a": "1"})
    after = parts(msgspec.structs.replace(COPY, parents=True), "t", "f2", "b", files={"d/a": "1"})
    assert reason(before, after, LABELS) == "--parents is new"


def test_many_changes_are_counted():
    before = parts(COPY, "t", "f1", "b", files={f"f{number}": "1" for number in range(9)})
    after = parts(COPY, "t", "f2", "b", files={f"f{number}": "2" for number in range(9)})
    assert reason(before, after, LABELS) == "f0 changed, f1 changed, f2 changed, and 6 more"


def test_the_steps_own_change_is_told_before_what_it_reads():
    before = parts(run("make"), "t1")
    after = parts(run("make all"), "t2")
    assert reason(before, after, LABELS) == "the command changed, the step before it changed"


def test_inputs_in_words():
    step = Step(id="app.2", op=COPY, stage="app")
    producers = (
        Step(id="app.1", op=run(), stage="app"),
        Step(id="context", op=ops.LocalOp(name="context")),
        Step(id="build.3", op=run(), stage="build"),
        Step(id="image:x", op=ops.ImageOp(ref="x:1", platform="linux/amd64", digest="sha256:0")),
    )
    assert labels(step, producers) == (
        "the step before it",
        "files of the build context",
        "files from stage build",
        "files from x:1",
    )
    assert labels(step, producers[3:]) == ("the base image x:1",)
    assert labels(step, producers[2:3]) == ("stage build",)
