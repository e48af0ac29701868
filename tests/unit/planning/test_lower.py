"""Rules of lowering that a golden file shows badly: what is asked and when, what enters a step, config after rules."""

import re
import subprocess
import sys

import msgspec
import pytest
from planning_world import IMAGES, World, plan

from jettison.base.errors import DockerfileError, InputError, UsageError
from jettison.base.span import Source
from jettison.oci.documents import HistoryEntry
from jettison.planning.graph import Plan
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions
from jettison.planning.ops import CacheMount, CopyOp, ImageOp, LocalOp, MkdirOp, RunOp
from jettison.syntax.parse import parse_dockerfile


def tree(text: str):
    return parse_dockerfile(Source("Dockerfile", text))


def runs(made: Plan) -> list[RunOp]:
    return [step.op for step in made.steps if isinstance(step.op, RunOp)]


def test_an_image_is_asked_for_once_a_platform() -> None:
    world = World()
    text = "FROM busybox AS a\nFROM --platform=linux/arm64 busybox AS b\n"
    text += "FROM busybox\nCOPY --from=a / /\nCOPY --from=b / /\n"
    drive(lower(tree(text), LowerOptions()), world.resolve)
    assert [(need.ref, need.platform) for need in world.asked] == [
        ("docker.io/library/busybox:latest", "linux/amd64"),
        ("docker.io/library/busybox:latest", "linux/arm64"),
    ]


def test_a_need_has_its_place_and_its_words() -> None:
    need = next(lower(tree("ARG T=3.20\nFROM alpine:$T AS x\n"), LowerOptions()))
    assert (need.written, need.ref, str(need.location)) == (
        "alpine:3.20",
        "docker.io/library/alpine:3.20",
        "Dockerfile:2",
    )


def test_a_resolvers_error_comes_through() -> None:
    with pytest.raises(InputError, match="nosuch: not found"):
        plan("FROM nosuch\n")


def test_faults_of_the_stages_are_found_before_any_image_is_asked_for() -> None:
    with pytest.raises(DockerfileError) as caught:
        next(lower(tree("FROM busybox\nCOPY --from=9 / /\n"), LowerOptions()))
    assert "invalid stage index 9" in caught.value.message


def test_all_faults_are_told_in_order_of_place() -> None:
    text = "FROM busybox AS a\nSTOPSIGNAL x\nEXPOSE y\nFROM a\nCOPY --chmod=9 a b\n"
    with pytest.raises(DockerfileError) as caught:
        plan(text)
    assert [d.span.start_line for d in caught.value.diagnostics] == [2, 3, 5]


def test_scratch_asks_for_nothing() -> None:
    with pytest.raises(StopIteration) as stop:
        next(lower(tree("FROM scratch\nCOPY a /\n"), LowerOptions()))
    assert stop.value.value.config.config.working_dir == "/"


def test_a_moved_line_changes_no_op() -> None:
    text = "FROM busybox\nWORKDIR /w\nCOPY a b\nRUN --mount=type=cache,target=/c make\n"
    before, after = plan(text), plan("# a comment\n\n" + text.replace("\n", "\n\n"))
    assert [(s.id, s.op, s.inputs) for s in before.steps] == [(s.id, s.op, s.inputs) for s in after.steps]


def test_spelling_of_the_keyword_and_continuations_change_no_copy() -> None:
    assert plan("FROM busybox\nCOPY a /b\n").steps[-1].op == plan("from busybox\ncopy \\\n  a /b\n").steps[-1].op


def test_the_same_source_is_one_step() -> None:
    made = plan(
        "FROM busybox AS a\nCOPY x /\nFROM library/busybox\nCOPY --from=a x /\nCOPY y /\nRUN --mount=target=/m z\n"
    )
    assert [type(s.op) for s in made.steps if isinstance(s.op, (ImageOp, LocalOp))] == [ImageOp, LocalOp]


def test_steps_are_in_topological_order_and_all_needed() -> None:
    made = plan("FROM busybox AS a\nRUN a\nFROM busybox AS no\nRUN no\nFROM scratch\nCOPY --from=a / /\n")
    seen: set[str] = set()
    for step in made.steps:
        assert seen.issuperset(step.inputs)
        seen.add(step.id)
    used = {name for step in made.steps for name in step.inputs} | {made.result}
    assert used == seen
    assert made.stages == ("a", "stage-2")


def test_history_and_lineage_agree() -> None:
    made = plan("FROM busybox AS a\nWORKDIR /w\nENV x=y\nFROM a\nRUN x\nCOPY y /\n")
    assert [entry.step for entry in made.history if entry.step] == list(made.lineage[1:])
    assert all(entry.entry.empty_layer == (entry.step is None) for entry in made.history)
    assert {entry.entry.comment for entry in made.history} == {"buildkit.dockerfile.v0"}


def test_the_bases_history_and_layers_stay_in_the_config() -> None:
    made = plan("FROM node:20\nRUN x\n")
    base = IMAGES["docker.io/library/node:20"]
    assert made.config.history == base.history
    assert made.config.rootfs == base.rootfs
    assert made.config.created is None
    assert made.history[0].entry == HistoryEntry(
        created_by="RUN /bin/bash -c x # buildkit", comment="buildkit.dockerfile.v0"
    )


@pytest.mark.parametrize(
    ("text", "entrypoint", "cmd"),
    [
        ("FROM node:20\nENTRYPOINT a\n", ("/bin/bash", "-c", "a"), None),
        ('FROM node:20\nCMD ["c"]\nENTRYPOINT ["a"]\n', ("a",), ("c",)),
        ('FROM node:20\nENTRYPOINT ["a"]\nCMD ["c"]\n', ("a",), ("c",)),
        ('FROM node:20 AS x\nCMD ["c"]\nFROM x\nENTRYPOINT ["a"]\n', ("a",), None),
        ("FROM node:20\nENTRYPOINT []\n", None, None),
        ('FROM node:20\nCMD ["c"]\n', ("docker-entrypoint.sh",), ("c",)),
        ("FROM node:20\nCMD []\n", ("docker-entrypoint.sh",), None),
        ('FROM scratch\nSHELL ["sh"]\nCMD a  b\n', None, ("sh", "a  b")),
    ],
)
def test_entrypoint_and_cmd(text: str, entrypoint: object, cmd: object) -> None:
    runtime = plan(text).config.config
    assert (runtime.entrypoint, runtime.cmd) == (entrypoint, cmd)


def test_proxies_change_no_op_that_is_hashed() -> None:
    text = "FROM busybox\nRUN x\n"
    plain, proxied = runs(plan(text))[0], runs(plan(text, build_args={"https_proxy": "http://p"}))[0]
    assert proxied.run_only.proxy_env == (("HTTPS_PROXY", "http://p"), ("https_proxy", "http://p"))
    assert msgspec.structs.replace(proxied, run_only=plain.run_only) == plain


def test_an_undeclared_build_arg_reaches_nothing_and_is_told_of() -> None:
    given, plain = plan("FROM busybox\nRUN x\n", build_args={"A": "1"}), plan("FROM busybox\nRUN x\n")
    assert given.unconsumed == ("One or more build-args [A] were not consumed",)
    assert msgspec.structs.replace(given, unconsumed=()) == plain


@pytest.mark.parametrize(
    ("text", "args", "told"),
    [
        ("FROM busybox\nARG A\n", {"A": "1"}, ""),
        ("ARG A\nFROM busybox\n", {"A": "1"}, ""),
        ("FROM busybox\nONBUILD ARG A\n", {"A": "1"}, ""),
        ("FROM busybox\nARG A\nFROM scratch\n", {"A": "1"}, ""),
        ("FROM busybox\n", {"HTTP_PROXY": "p", "no_proxy": "x", "TARGETARCH": "arm64", "SOURCE_DATE_EPOCH": "1"}, ""),
        ("FROM busybox\n", {"BUILDKIT_INLINE_CACHE": "1", "BUILDKIT_SYNTAX": "x"}, ""),
        ("FROM busybox\nARG VERSION\n", {"VERSOIN": "1"}, "[VERSOIN] were not consumed (did you mean VERSION?)"),
        ("FROM busybox\nARG VERSION\n", {"version": "1"}, "[version] were not consumed"),
        ("FROM busybox\nENV C=1\nRUN x\n", {"C": "1", "B": "2"}, "[B C] were not consumed"),
    ],
)
def test_build_args_that_nothing_takes(text: str, args: dict[str, str], told: str) -> None:
    found = plan(text, build_args=args).unconsumed
    assert len(found) == bool(told)
    assert told in "".join(found)


def test_a_cache_whose_owner_or_mode_is_given_begins_empty_without_cache() -> None:
    text = "FROM busybox\nRUN --mount=type=cache,target=/a{} x\n"
    for given, emptied in (("", 0), (",mode=0755", 1), (",uid=0", 1), (",gid=5", 1), (",source=/x,mode=0700", 0)):
        op = runs(plan(text.format(given), no_cache=True))[0]
        assert len(op.run_only.emptied) == emptied
        assert not runs(plan(text.format(given)))[0].run_only.emptied


def test_an_unknown_target_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="did you mean builder") as raised:
        plan("FROM busybox AS builder\nFROM scratch AS final\n", target="biulder")
    assert raised.value.location is None
    assert raised.value.hint == "the stages are: builder, final"


def test_an_arg_changes_only_what_follows_it() -> None:
    text = "FROM busybox\nRUN one\nARG A\nRUN two\nCOPY $A /x\n"
    one, two = plan(text, build_args={"A": "1"}), plan(text, build_args={"A": "2"})
    assert [a.op == b.op for a, b in zip(one.steps, two.steps, strict=True)] == [True, True, False, True, False]


def test_unset_and_empty_differ() -> None:
    unset, empty = runs(plan("FROM busybox\nARG A\nRUN x\nARG B=\nRUN x\n"))
    assert "A" not in dict(unset.env)
    assert dict(empty.env)["B"] == ""


def test_a_commit_of_a_proxy_is_declared_by_arg() -> None:
    op = runs(plan("FROM busybox\nARG HTTP_PROXY\nRUN x\n", build_args={"HTTP_PROXY": "p"}))[0]
    assert dict(op.env)["HTTP_PROXY"] == "p"


@pytest.mark.parametrize(
    ("dest", "path", "is_dir"),
    [
        ("b", "/w/b", False), ("b/", "/w/b", True), ("b/.", "/w/b", True), (".", "/w", True), ("./", "/w", True),
        ("/", "/", True), ("/a/../b", "/b", False), ("../../..", "/", False), ("/x//y/", "/x/y", True),
    ],
)  # fmt: skip
def test_destinations(dest: str, path: str, is_dir: bool) -> None:
    op = plan(f"FROM busybox\nWORKDIR /w\nCOPY a {dest}\n").steps[-1].op
    assert isinstance(op, CopyOp)
    assert (op.dest, op.dest_is_dir) == (path, is_dir)


@pytest.mark.parametrize("mode", ["0", "755", "07777", "u=rwX,go=rX", "+x", "a-w", "u+s,g+s", "o=g", "=", "u+rw-x"])
def test_modes_that_are_taken(mode: str) -> None:
    op = plan(f"FROM busybox\nCOPY --chmod={mode} a b\n").steps[-1].op
    assert isinstance(op, CopyOp)
    assert op.chmod == mode


@pytest.mark.parametrize("mode", ["8", "10000", "64a", "rwx", "u=rwz", "u", "0x1", "7_5", "u=r,,g=w"])
def test_modes_that_are_not(mode: str) -> None:
    with pytest.raises(DockerfileError, match=f"invalid chmod parameter: '{mode}'. it should be octal string"):
        plan(f"FROM busybox\nCOPY --chmod={mode} a b\n")


def test_caches_of_one_id_and_other_owners_are_others() -> None:
    text = "FROM busybox\nRUN --mount=type=cache,target=/c{} x\n"
    ids = set()
    for more in ("", ",uid=1", ",mode=0700", ",from=alpine:3.20", ",from=alpine:3.20,source=/x"):
        mount = runs(plan(text.format(more)))[0].mounts[0]
        assert isinstance(mount, CacheMount)
        ids.add(mount.id)
    assert len(ids) == 5


def test_a_workdir_keeps_its_users_text() -> None:
    ops = [step.op for step in plan("FROM busybox\nUSER some one\nWORKDIR /a/b\n").steps]
    assert ops[-1] == MkdirOp(path="/a/b", user="some one")


def test_the_target_platform_is_the_configs() -> None:
    made = plan("FROM --platform=linux/amd64 cross\n", platform="linux/arm64/v8")
    assert (made.platform, made.config.architecture, made.config.variant) == ("linux/arm64", "arm64", "")


def test_an_implicit_platform_follows_the_base() -> None:
    made = plan("FROM armonly\n", implicit_platform=True)
    assert (made.platform, made.config.architecture) == ("linux/arm64", "arm64")
    assert "was pulled with platform" in made.warnings[0]


def test_a_long_chain_of_stages_needs_no_deep_stack() -> None:
    text = "FROM busybox AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\nCOPY --from=s{n} a b\n" for n in range(3000))
    assert len(plan(text).lineage) == 3001


def test_step_looks_a_step_up() -> None:
    made = plan("FROM busybox AS b\nRUN x\n")
    assert made.step("b.2").display == "[2/2] RUN x"
    with pytest.raises((KeyError, StopIteration)):
        made.step("nosuch")


def test_lowering_imports_nothing_that_a_build_with_nothing_to_do_must_not() -> None:
    code = """
import sys
from jettison.base.span import Source
from jettison.planning.lower import lower
from jettison.planning.needs import LowerOptions
from jettison.syntax.parse import parse_dockerfile
before = set(sys.modules)
try:
    next(lower(parse_dockerfile(Source("D", "FROM scratch\\nCOPY a /\\nRUN x\\n")), LowerOptions()))
except StopIteration:
    pass
bad = {"pathlib", "subprocess", "tempfile", "dataclasses", "logging", "urllib", "difflib", "ipaddress"}
print(",".join(sorted(bad & set(sys.modules))))
"""
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("ARG BASE=busybox\nFROM $BAES\n", "did you mean $BASE?"),
        ("ARG BASE\nFROM $BASE\n", "gives it a value"),
        ("FROM --platform=$BUILDPLATFROM busybox\n", "did you mean $BUILDPLATFORM?"),
        ("FROM --platform=${NOTHING-LIKE-IT} busybox\n", "failed to parse platform"),
        ("FROM busybox\nSTOPSIGNAL SIGTREM\n", "did you mean SIGTERM?"),
        ("FROM busybox\nSTOPSIGNAL whatever\n", "invalid signal: whatever"),
    ],
)
def test_what_may_be_meant(text: str, meant: str) -> None:
    with pytest.raises(DockerfileError, match=re.escape(meant)):
        plan(text)
