"""Copies of a context that nothing can be known of: they run first, and have the keys that reading first had given."""

import threading

import pytest
from solving import bench, two_stages

from fakes.plans import CONTEXT, copy, image, plan, run
from fakes.ports import Bench
from jettison.base.errors import InputError
from jettison.planning.graph import Step
from jettison.solve.run import SolveOutcome

__all__ = ["bench"]


def told_or_not(*steps: Step, files: dict[str, str]) -> list[SolveOutcome]:
    """The same first build, with a world that tells what copies took, and with one that does not."""
    found = []
    for tells in (True, False):
        bench = Bench()
        bench.world.tells, bench.world.files = tells, files
        found.append(bench.solve(plan(*steps)))
    return found


def test_a_first_build_reads_no_file_but_to_copy_it(bench: Bench):
    bench.solve(plan(*two_stages()))
    assert bench.world.local_reads == []


def test_its_keys_and_results_are_those_of_reading_first():
    told, read = told_or_not(*two_stages(), files={"src/a": "1", "README": "x"})
    assert told.keys == read.keys
    assert list(told.keys) == list(read.keys)
    assert {name: result.id for name, result in told.results.items()} == {
        name: result.id for name, result in read.results.items()
    }


def test_the_next_build_hits_by_definition(bench: Bench):
    bench.world.files = {"src/a": "1"}
    first = bench.solve(plan(*two_stages()))
    second = bench.solve(plan(*two_stages()))
    assert bench.world.executed == []
    assert second.keys == first.keys
    assert {verdict.hit for verdict in second.verdicts.values()} == {"definition"}


def test_a_key_is_of_what_was_taken_whatever_becomes_of_the_file(bench: Bench):
    bench.world.files = {"a": "1"}
    bench.world.yields = {"s.2": lambda: bench.world.files.update(a="2") or "x"}
    steps = (CONTEXT, image(), copy("s.1", "/a", "image:base", "context"), run("s.2", "x", "s.1"))
    first = bench.solve(plan(*steps))
    assert first.keys == told_or_not(*steps, files={"a": "1"})[1].keys
    assert bench.solve(plan(*steps)).verdicts["s.1"].verdict == "ran"
    assert bench.reason("s.1") == "a changed"


def test_a_build_that_hits_asks_once_and_one_without_copies_of_a_context_never(bench: Bench):
    bench.solve(plan(*two_stages()))
    bench.cache.asked_ops = 0
    bench.solve(plan(*two_stages()))
    assert bench.cache.asked_ops == 1
    bench.solve(plan(image(), run("s.1", "x", "image:base")))
    assert bench.cache.asked_ops == 1


def test_files_are_read_first_where_the_step_was_built_before(bench: Bench):
    bench.world.files = {"src/a": "1"}
    bench.solve(plan(*two_stages()))
    bench.world.files = {"src/a": "2"}
    bench.solve(plan(*two_stages()))
    assert bench.world.local_reads == ["build.1"]
    assert bench.reason("build.1") == "src/a changed"


def test_files_are_read_first_where_something_that_stands_on_the_step_was_built_before(bench: Bench):
    def steps(source: str) -> tuple[Step, ...]:
        return CONTEXT, image(), copy("s.1", source, "image:base", "context"), run("s.2", "make", "s.1")

    bench.solve(plan(*steps("/a")))
    bench.solve(plan(*steps("/b")))
    assert bench.world.local_reads == ["s.1"]


def test_files_are_read_first_where_another_step_stood_there_for_the_reason_names_them(bench: Bench):
    bench.world.files = {"a": "1", "b": "1"}
    bench.solve(plan(CONTEXT, image(), copy("s.1", "/a", "image:base", "context")))
    bench.solve(plan(CONTEXT, image(), copy("s.1", "/b", "image:base", "context")))
    assert bench.world.local_reads == ["s.1"]
    assert bench.reason("s.1") == "source 1 changed, b is new, a is gone"


def test_files_are_read_first_where_a_copy_cannot_tell(bench: Bench):
    bench.world.tells = False
    bench.solve(plan(*two_stages()))
    assert bench.world.local_reads == ["build.1"]


def test_a_bind_mount_is_read_first(bench: Bench):
    bench.world.files = {"a": "1"}
    steps = (CONTEXT, image(), copy("s.1", "/a", "image:base", "context"), run("s.2", "x", "s.1", "context"))
    bench.solve(plan(*steps))
    assert bench.world.local_reads == ["s.2"]
    assert told_or_not(*steps, files={"a": "1"})[0].keys == bench.solve(plan(*steps)).keys


def test_a_missing_path_is_told_before_anything_runs(bench: Bench):
    def missing(_step: Step, _index: int) -> bool:
        raise InputError("not found")

    bench.world.is_told = missing
    with pytest.raises(InputError, match="not found"):
        bench.solve(plan(*two_stages()))
    assert bench.world.executed == []
    assert bench.kinds("build.1") == ["StepStarted", "StepFailed"]


def test_equal_copies_run_once(bench: Bench):
    steps = (
        CONTEXT,
        image(),
        copy("one.1", "/a", "image:base", "context"),
        copy("two.1", "/a", "image:base", "context"),
        copy("two.2", "/out", "two.1", "one.1"),
    )
    outcome = bench.solve(plan(*steps))
    assert sorted(bench.world.executed) == ["image:base", "one.1", "two.2"]
    assert outcome.keys["one.1"] == outcome.keys["two.1"]
    assert bench.kinds("two.1") == ["StepCached:definition"]
    assert told_or_not(*steps, files={})[1].keys == outcome.keys


def test_copies_that_turn_out_equal_run_once_even_at_the_same_time(bench: Bench):
    bench.world.yields = {"one.1": "x", "two.1": "x"}
    both = threading.Barrier(2, timeout=10)
    bench.world.before = lambda step, _: both.wait() if step.id in ("one.1", "two.1") else None
    steps = (
        CONTEXT,
        image(),
        run("one.1", "echo x", "image:base"),
        run("two.1", "printf x", "image:base"),
        copy("one.2", "/a", "one.1", "context"),
        copy("two.2", "/a", "two.1", "context"),
        copy("two.3", "/out", "two.2", "one.2"),
    )
    outcome = bench.solve(plan(*steps))
    assert len([step for step in bench.world.executed if step.endswith(".2")]) == 1
    assert outcome.results["one.2"].id == outcome.results["two.2"].id
    assert told_or_not(*steps, files={})[1].keys == outcome.keys


def test_a_step_that_nothing_needs_has_its_key_all_the_same(bench: Bench):
    steps = (CONTEXT, image(), copy("s.1", "/a", "image:base", "context"), run("t.1", "x", "image:base"))
    outcome = bench.solve(plan(*steps))
    assert outcome.verdicts["s.1"].verdict == "unneeded"
    assert outcome.keys == told_or_not(*steps, files={})[1].keys


def test_a_failed_copy_says_so_once(bench: Bench):
    def fail() -> str:
        raise InputError("cannot read it")

    bench.world.yields = {"build.1": fail}
    with pytest.raises(InputError, match="cannot read it"):
        bench.solve(plan(*two_stages()))
    assert bench.kinds("build.1") == ["StepStarted", "StepFailed"]


def test_no_cache_of_new_copies_reads_nothing_either(bench: Bench):
    outcome = bench.solve(plan(*two_stages()), no_cache=True)
    assert bench.world.local_reads == []
    assert bench.reason("build.1") == "--no-cache"
    assert outcome.keys == told_or_not(*two_stages(), files={})[1].keys


def test_a_file_that_changed_after_it_was_read_is_in_the_keys_as_it_was_taken(bench: Bench):
    def steps(command: str) -> tuple[Step, ...]:
        return (
            CONTEXT,
            image(),
            run("s.1", command, "image:base"),
            copy("s.2", "/a", "s.1", "context"),
            run("s.3", "x", "s.2"),
            run("t.1", "y", "s.2", "s.3"),
        )

    bench.world.files = {"a": "0"}
    bench.solve(plan(*steps("make")))
    bench.world.files = {"a": "1"}
    bench.world.yields = {"s.1": lambda: bench.world.files.update(a="2") or "made"}
    late = bench.solve(plan(*steps("make more")))
    assert bench.world.local_reads == ["s.2"]
    assert late.keys == told_or_not(*steps("make more"), files={"a": "2"})[1].keys
    bench.solve(plan(*steps("make more")))
    assert bench.world.executed == []
    bench.world.files = {"a": "1"}
    assert bench.solve(plan(*steps("make more"))).verdicts["s.2"].verdict == "ran"
