"""Copies from layers that nothing can be known of: they run first, and have the keys that reading first had given."""

import threading

import pytest
from solving import bench

from fakes.plans import copy, image, plan, run
from fakes.ports import Bench
from jettison.planning.graph import Step

__all__ = ["bench"]


def joined(count: int = 2) -> tuple[Step, ...]:
    """Stages of which one joins what the others made, copy by copy."""
    stages = tuple(run(f"s{number}.1", f"make {number}", "image:base") for number in range(count))
    first = copy("t.1", "/out", "image:base", "s0.1")
    more = (copy(f"t.{number + 1}", "/out", f"t.{number}", f"s{number}.1") for number in range(1, count))
    return image(), *stages, first, *more


def read_before(bench: Bench, *steps: Step) -> dict[str, list[str]]:
    """A build; by each step that ran, what had been read of layers by then."""
    seen: dict[str, list[str]] = {}
    bench.world.before = lambda step, _: seen.update({step.id: list(bench.world.stack_reads)})
    bench.solve(plan(*steps))
    bench.world.before = lambda _step, _cancel: None
    return seen


def test_a_first_build_asks_what_a_copy_takes_when_it_has_run(bench: Bench):
    seen = read_before(bench, *joined(3))
    assert seen["t.1"] == []
    assert seen["t.2"] == ["t.1:1"]
    assert seen["t.3"] == ["t.1:1", "t.2:1"]
    assert bench.reason("t.2") == "first build of this step"
    assert bench.kinds("t.2") == ["StepStarted", "StepFinished"]


def test_what_is_copied_is_read_first_where_the_step_was_built_before(bench: Bench):
    bench.solve(plan(*joined()))
    bench.world.yields = {"s1.1": "another"}
    again = (*joined()[:2], run("s1.1", "make it anew", "image:base"), *joined()[3:])
    seen = read_before(bench, *again)
    assert seen["t.2"] == ["t.2:1"]
    assert bench.reason("t.2") == "files from stage s1 changed"


def test_what_is_copied_is_read_first_where_another_step_stood_there(bench: Bench):
    def steps(source: str) -> tuple[Step, ...]:
        return image(), run("s.1", "make", "image:base"), copy("t.1", source, "image:base", "s.1")

    bench.solve(plan(*steps("/out")))
    assert read_before(bench, *steps("/lib")) == {"t.1": ["t.1:1"]}
    assert bench.reason("t.1") == "source 1 changed"


def test_keys_and_results_are_those_of_reading_first():
    unread, read = Bench(), Bench()
    read.solve(
        plan(image(), run("x.1", "x", "image:base"), copy("y.1", "/out", "image:base", "x.1"))
    )  # the op is known
    one, two = (each.solve(plan(*joined())) for each in (unread, read))
    assert one.keys == two.keys
    assert {name: each.id for name, each in one.results.items()} == {
        name: each.id for name, each in two.results.items()
    }
    assert unread.cache.results.keys() <= read.cache.results.keys()  # under the same content keys, too


def test_a_later_build_finds_it_by_content(bench: Bench):
    bench.world.yields = {"s1.1": "same"}
    bench.solve(plan(*joined()))
    bench.solve(plan(*joined()[:2], run("s1.1", "make it anew", "image:base"), *joined()[3:]))
    assert bench.kinds("t.2") == ["StepCached:content"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_two_copies_that_turn_out_to_be_the_same_give_one_layer(bench: Bench, jobs: int):
    bench.world.yields = {"s0.1": "same", "s1.1": "same"}
    steps = (
        image(),
        run("s0.1", "make 0", "image:base"),
        run("s1.1", "make 1", "image:base"),
        copy("a.1", "/out", "image:base", "s0.1"),
        copy("b.1", "/out", "image:base", "s1.1"),
        run("c.1", "true", "a.1", "b.1"),
    )
    both = threading.Barrier(jobs)

    def meet(step: Step, _cancel: object) -> None:
        if step.id in ("a.1", "b.1"):
            both.wait()

    bench.world.before = meet
    outcome = bench.solve(plan(*steps), jobs=jobs)
    assert outcome.results["a.1"].added == outcome.results["b.1"].added
    assert len([step for step in bench.world.executed if step in ("a.1", "b.1")]) == jobs
    assert len(bench.world.discarded) == jobs - 1


def test_a_copy_out_of_an_image_is_one_from_layers(bench: Bench):
    tools = image("tools", "sha256:" + "d" * 64)
    assert read_before(bench, image(), tools, copy("t.1", "/bin/x", "image:base", "image:tools"))["t.1"] == []
