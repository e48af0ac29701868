"""The driver with fake vertices: what runs, what is found, what is never asked for."""

import threading

import msgspec
import pytest
from solving import bench, two_stages

from fakes.plans import CONTEXT, copy, image, plan, run, scratch
from fakes.ports import Bench
from jettison.planning import ops
from jettison.planning.graph import Plan, Step
from jettison.planning.merge import merge
from jettison.solve.ports import Result

__all__ = ["bench"]


def test_a_first_build_runs_every_step_after_what_it_reads(bench: Bench):
    bench.world.files = {"src/a": "1"}
    outcome = bench.solve(plan(*two_stages()))
    ran = bench.world.executed
    assert sorted(ran) == ["app.1", "app.2", "build.1", "build.2", "image:node", "image:slim"]
    assert ran.index("image:node") < ran.index("build.1") < ran.index("build.2") < ran.index("app.1")
    assert {verdict.verdict for verdict in outcome.verdicts.values()} == {"ran"}
    assert bench.kinds("build.2") == ["StepStarted", "StepFinished"]
    assert bench.reason("build.2") == "first build of this step"


def test_a_second_build_executes_nothing_and_starts_no_thread(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    first = bench.solve(plan(*two_stages()))
    monkeypatch.setattr(threading.Thread, "start", None)
    second = bench.solve(plan(*two_stages()))
    assert bench.world.executed == []
    assert bench.world.stack_reads == []
    assert second.results == first.results
    assert {verdict.hit for verdict in second.verdicts.values()} == {"definition"}
    assert bench.kinds("build.1") == ["StepCached:definition"]


def test_what_only_found_steps_read_is_not_built(bench: Bench):
    bench.solve(plan(*two_stages()))
    build = bench.solve(plan(*two_stages()))
    forgotten = {build.results[name].id for name in ("build.1", "build.2", "image:node")}
    bench.cache.results = {key: found for key, found in bench.cache.results.items() if found.id not in forgotten}
    again = bench.solve(plan(*two_stages()))
    assert bench.world.executed == []
    assert again.verdicts["build.2"].verdict == "unneeded"
    assert "build.2" not in again.results
    assert bench.kinds("build.2") == []


def test_equal_bytes_stop_the_rebuild(bench: Bench):
    bench.world.yields = {"build.2": "the same output"}
    bench.solve(plan(*two_stages()))
    outcome = bench.solve(plan(*two_stages("make  # with a comment")))
    assert bench.world.executed == ["build.2"]
    assert outcome.verdicts["app.1"].hit == "content"
    assert outcome.verdicts["app.2"].hit == "content"
    assert bench.kinds("app.1") == ["StepCached:content"]


def test_only_the_bytes_that_are_copied_count(bench: Bench):
    bench.world.files = {"src/a": "1", "README": "x"}
    bench.solve(plan(*two_stages()))
    bench.world.files = {"src/a": "1", "README": "y"}
    bench.solve(plan(*two_stages()))
    assert bench.world.executed == []


def test_a_rerun_that_yields_what_an_earlier_one_did_takes_its_layers(bench: Bench):
    bench.world.yields = {"build.2": "the same output"}
    bench.world.files = {"src/a": "1"}
    first = bench.solve(plan(*two_stages()))
    bench.world.files = {"src/a": "2"}
    second = bench.solve(plan(*two_stages()))
    assert bench.world.executed == ["build.1", "build.2"]
    assert second.results["build.2"].added == first.results["build.2"].added
    assert second.verdicts["build.2"].hit == "equal-bytes"
    assert bench.kinds("build.2") == ["StepStarted", "StepFinished", "StepCached:equal-bytes"]
    assert len(bench.world.discarded) == 1
    assert bench.reason("build.1") == "src/a changed"
    assert bench.reason("build.2") == "the step before it changed"


def test_found_layers_go_on_top_of_what_the_step_now_stands_on(bench: Bench):
    bench.world.yields = {"s.2": "two"}
    steps = (CONTEXT, image(), copy("s.1", "/a", "image:base", "context"), run("s.2", "x", "s.1"))
    bench.world.files = {"a": "1"}
    first = bench.solve(plan(*steps))
    bench.world.files = {"a": "2"}
    second = bench.solve(plan(*steps))
    assert second.results["s.2"].added == first.results["s.2"].added
    assert second.results["s.2"].layers == (*second.results["s.1"].layers, *first.results["s.2"].added)
    assert second.results["s.1"].layers != first.results["s.1"].layers


def test_a_step_that_changes_nothing_yields_the_tree_it_began_with(bench: Bench):
    bench.world.yields = {"s.1": ""}
    steps = (image(), run("s.1", "true", "image:base"), run("s.2", "x", "s.1"))
    outcome = bench.solve(plan(*steps))
    assert outcome.results["s.1"].id == outcome.results["image:base"].id
    assert outcome.results["s.1"].added == ()
    assert len(outcome.results["s.2"].layers) == 2


def test_equal_steps_of_two_stages_run_once(bench: Bench):
    steps = (
        image(),
        run("one.1", "make", "image:base"),
        run("two.1", "make", "image:base"),
        copy("two.2", "/out", "two.1", "one.1"),
    )
    outcome = bench.solve(plan(*steps))
    assert [step for step in bench.world.executed if step.endswith(".1")] == ["one.1"]
    assert outcome.results["one.1"] == outcome.results["two.1"]
    assert bench.kinds("two.1") == ["StepCached:definition"]


def test_steps_that_turn_out_equal_run_once_even_at_the_same_time(bench: Bench):
    bench.world.yields = {"one.1": "x", "two.1": "x"}
    both = threading.Barrier(2, timeout=10)
    bench.world.before = lambda step, _: both.wait() if step.id in ("one.1", "two.1") else None
    steps = (
        image(),
        run("one.1", "echo x", "image:base"),
        run("two.1", "printf x", "image:base"),
        run("one.2", "make", "one.1"),
        run("two.2", "make", "two.1"),
        copy("two.3", "/out", "two.2", "one.2"),
    )
    outcome = bench.solve(plan(*steps))
    assert len([step for step in bench.world.executed if step.endswith(".2")]) == 1
    assert outcome.results["one.2"].id == outcome.results["two.2"].id


def test_ready_steps_of_all_stages_run_at_once(bench: Bench):
    meeting = threading.Barrier(3, timeout=10)
    bench.world.before = lambda step, _: meeting.wait() if step.id.endswith(".1") else None
    stages = [run(f"s{number}.1", f"make {number}", "image:base") for number in range(3)]
    last = run("app.2", "link", *(stage.id for stage in stages))
    bench.solve(plan(image(), *stages, last), jobs=3)
    assert bench.world.executed[-1] == "app.2"


def test_no_more_than_jobs_run_at_once(bench: Bench):
    running, most, lock = [0], [0], threading.Lock()

    def count(step: Step, _: object) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1

    bench.world.before = count
    stages = [run(f"s{number}.1", f"make {number}", "image:base") for number in range(6)]
    bench.solve(plan(image(), *stages, run("app.2", "link", *(stage.id for stage in stages))), jobs=1)
    assert most[0] == 1


def test_no_cache_runs_every_step_but_sources_and_keeps_what_it_made(bench: Bench):
    bench.world.yields = {"build.2": "same", "app.2": "same too"}
    first = bench.solve(plan(*two_stages()))
    second = bench.solve(plan(*two_stages()), no_cache=True)
    assert sorted(bench.world.executed) == ["app.1", "app.2", "build.1", "build.2"]
    assert bench.reason("app.1") == "--no-cache"
    assert second.results["app.2"].added != first.results["app.2"].added
    assert second.results["app.2"].id == first.results["app.2"].id
    third = bench.solve(plan(*two_stages()))
    assert third.results["app.2"] == second.results["app.2"]


def test_no_cache_of_one_stage_lets_the_others_compare_by_content(bench: Bench):
    bench.world.yields = {"build.2": "same"}
    bench.solve(plan(*two_stages()))
    outcome = bench.solve(plan(*two_stages()), no_cache_stages=("build",))
    assert bench.world.executed == ["build.1", "build.2"]
    assert outcome.verdicts["app.1"].hit == "content"


def test_a_run_only_mark_forces_one_step(bench: Bench):
    first = run("s.1", "date", "image:base")
    forced = Step(
        id="s.1",
        op=ops.RunOp(args=("/bin/sh", "-c", "date"), env=(), cwd="/", run_only=ops.RunOnly(ignore_cache=True)),
        inputs=("image:base",),
        stage="s",
    )
    bench.solve(plan(image(), first))
    bench.solve(plan(image(), forced))
    assert bench.world.executed == ["s.1"]


def test_a_result_whose_snapshot_vanished_is_made_again(bench: Bench):
    first = bench.solve(plan(*two_stages()))
    bench.cache.lost = set(first.results["app.1"].added)
    second = bench.solve(plan(*two_stages()))
    assert bench.world.executed == ["app.1", "app.2"]  # no part of a broken stack is trusted
    assert bench.reason("app.1") == "its earlier result is no longer in the store"
    lineage = [second.results[name] for name in ("image:slim", "app.1", "app.2")]
    assert lineage[2].layers == (*lineage[0].layers, *lineage[1].added, *lineage[2].added)
    assert not bench.cache.lost.intersection(lineage[2].layers)


def test_the_lineage_hangs_together_when_a_step_was_made_again_elsewhere(bench: Bench):
    first = bench.solve(plan(*two_stages()))
    middle = first.results["app.1"]
    key = first.keys["app.1"].digest
    bench.world.contents["s-ff"] = "another output"
    bench.cache.results[key] = Result(id="sha256:" + "9" * 64, layers=(middle.layers[0], "s-ff"), added=("s-ff",))
    second = bench.solve(plan(*two_stages()))
    assert second.results["app.2"].layers[:2] == second.results["app.1"].layers
    assert bench.world.executed == ["app.2"]


@pytest.mark.parametrize("again", ["the same", "another"])
def test_an_image_is_of_one_run_of_each_stage(bench: Bench, again: str):
    """The stage's own result is gone, and one file of two that were copied out of it is still there."""
    outputs = iter(("the same", again))
    bench.world.yields["build.2"] = lambda: next(outputs)
    stage = (
        CONTEXT,
        image("node"),
        copy("build.1", "/src", "image:node", "context"),
        run("build.2", "make", "build.1"),
    )
    first = (*stage, scratch(), copy("app.1", "/out", "scratch", "build.2"))
    known = bench.solve(plan(*first))
    for name in ("build.1", "build.2"):
        del bench.cache.results[known.keys[name].digest]
        bench.cache.lost.update(known.results[name].added)
    outcome = bench.solve(plan(*first, copy("app.2", "/more", "app.1", "build.2")))
    assert bench.world.executed[:2] == ["build.1", "build.2"]
    assert ("app.1" in bench.world.executed) == (again == "another")
    assert outcome.verdicts["app.1"].hit == ("content" if again == "the same" else "")


@pytest.mark.parametrize("again", ["the same", "another"])
def test_what_was_made_of_an_earlier_run_of_a_stage_is_not_what_its_definition_means_now(bench: Bench, again: str):
    """The stage alone ran again, in a build of that target: what was copied out of it before is of the earlier run."""
    outputs = iter(("the same", again))
    bench.world.yields["build.2"] = lambda: next(outputs)
    steps = two_stages()
    bench.solve(plan(*steps))
    bench.solve(plan(*steps[:4]), no_cache=True)
    outcome = bench.solve(plan(*steps))
    assert "build.2" not in bench.world.executed
    assert outcome.verdicts["build.2"].hit == "definition"
    assert ("app.1" in bench.world.executed) == (again == "another")
    assert bench.solve(plan(*steps)).verdicts["app.1"].hit == "definition"


def test_the_empty_tree_is_neither_looked_up_nor_shown(bench: Bench):
    outcome = bench.solve(plan(CONTEXT, scratch(), copy("s.1", "/", "scratch", "context")))
    assert outcome.results["scratch"].layers == ()
    assert bench.kinds("scratch") == []
    assert bench.world.executed == ["s.1"]


def test_a_server_is_asked_once_and_its_answer_is_the_key(bench: Bench):
    fetched = Step(id="http", op=ops.HttpOp(url="https://x.test/a", filename="a"))
    steps = (fetched, scratch(), copy("s.1", "/a", "scratch", "http"))
    bench.solve(plan(*steps))
    bench.solve(plan(*steps))
    assert bench.world.executed == []
    bench.world.identities = {"https://x.test/a": "v2"}
    bench.solve(plan(*steps))
    assert bench.world.executed == ["http", "s.1"]
    assert bench.reason("http") == "what the server has changed from v1 to v2"


def test_a_miss_is_compared_with_the_same_project_and_platform(bench: Bench):
    arm = msgspec.structs.replace(
        plan(image(digest="sha256:" + "d" * 64), run("s.1", "x", "image:base")), platform="arm"
    )
    bench.solve(plan(image(), run("s.1", "x", "image:base")), scope="/here")
    bench.solve(arm, scope="/here")
    assert bench.reason("s.1") == "first build of this step for arm"
    bench.solve(plan(image(digest="sha256:" + "e" * 64), run("s.1", "x", "image:base")), scope="/there")
    assert bench.reason("s.1") == "first build of this step"
    bench.solve(plan(image(digest="sha256:" + "f" * 64), run("s.1", "x", "image:base")), scope="/here")
    assert bench.reason("s.1") == "the base image base changed"


def test_a_step_that_moved_to_another_line_is_compared_with_itself(bench: Bench):
    bench.solve(plan(image(), run("s.1", "make", "image:base")))
    bench.solve(plan(image(), run("s.1", "apt", "image:base"), run("s.2", "make", "s.1")))
    assert bench.reason("s.1") == "the command changed"
    assert bench.reason("s.2") == "the step before it changed"


def test_steps_that_plans_share_run_once_and_all_platforms_at_once(bench: Bench):
    plans = merge([two_platforms("linux/amd64", "make x86"), two_platforms("linux/arm64", "make arm")])
    together = threading.Barrier(2, timeout=20)
    bench.world.before = lambda step, _cancel: together.wait() if step.id.endswith(" build.2") else None
    outcome = bench.solve(*plans, jobs=2)
    ran = [step for step in bench.world.executed if step.endswith(("build.1", "build.2"))]
    assert sorted(ran) == ["linux/amd64 build.1", "linux/amd64 build.2", "linux/arm64 build.2"]
    assert all(plan.result in outcome.results for plan in plans)
    assert [outcome.results[plan.result].layers[:2] for plan in plans] == [outcome.results[ran[0]].layers] * 2


def test_a_step_has_one_site_alone_and_among_platforms(bench: Bench):
    bench.solve(two_platforms("linux/arm64", "make"))
    bench.solve(*merge([two_platforms("linux/amd64", "make x86"), two_platforms("linux/arm64", "make it")]))
    assert bench.reason("linux/arm64 build.2") == "the command changed"
    assert bench.reason("linux/amd64 build.2") == "first build of this step"


def two_platforms(platform: str, command: str) -> Plan:
    """A plan of a base and a step that it shares with those for other platforms, and a step of its own."""
    steps = (image(), run("build.1", "blind", "image:base"), run("build.2", command, "build.1"))
    return msgspec.structs.replace(plan(*steps), platform=platform)


def test_a_long_tail_of_equal_content_starts_no_thread_of_its_own_and_is_saved_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    tail = tuple(run(f"app.{number}", f"tail {number}", f"app.{number - 1}") for number in range(2, 8))
    steps = (
        CONTEXT,
        image("node"),
        copy("app.0", "/src", "image:node", "context"),
        run("app.1", "blind", "app.0"),
        *tail,
    )
    bench.world.files = {"src/a": "1"}
    first = bench.solve(plan(*steps))
    bench.world.files = {"src/a": "2"}
    bench.world.yields = {"app.0": "as before", "app.1": "as before"}
    bench.solve(plan(*steps))
    bench.world.files = {"src/a": "3"}
    started, saved = [], []
    start, save = threading.Thread.start, bench.cache.save
    monkeypatch.setattr(threading.Thread, "start", lambda self: (started.append(self.name), start(self)))
    monkeypatch.setattr(bench.cache, "save", lambda *entries: (saved.append(len(entries)), save(*entries)))
    third = bench.solve(plan(*steps))
    assert {third.verdicts[step.id].hit for step in tail} == {"content"}
    assert started == ["jettison app.0"]
    assert saved == [1, 7]
    assert len(first.results) == len(third.results)
    assert bench.solve(plan(*steps)).verdicts["app.7"].hit == "definition"


def test_the_world_is_told_to_prepare_when_something_is_missing(bench: Bench):
    bench.solve(plan(*two_stages()))
    assert bench.world.prepared == 1
    bench.solve(plan(*two_stages()))
    assert bench.world.prepared == 1
