"""The schedule: states and demand, on graphs drawn at random and by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.solve import schedule
from jettison.solve.schedule import Schedule

DIAMOND = {"base": (), "left": ("base",), "right": ("base",), "top": ("left", "right"), "aside": ("base",)}


def test_demand_comes_from_the_top_and_starts_at_the_bottom():
    plan = Schedule(DIAMOND, ["top"])
    assert plan.take() == "base"
    assert plan.take() is None
    plan.done("base")
    assert (plan.take(), plan.take(), plan.take()) == ("left", "right", None)
    plan.done("right")
    assert plan.take() is None
    plan.done("left")
    assert plan.take() == "top"
    plan.done("top")
    assert plan.finished
    assert plan.state("aside") == schedule.IDLE


def test_demand_stops_at_what_is_known():
    plan = Schedule(DIAMOND, ["top"], ["left", "right"])
    assert plan.take() == "top"
    assert plan.state("base") == schedule.IDLE


def test_a_known_target_leaves_nothing_to_do():
    assert Schedule(DIAMOND, ["top"], ["top"]).finished


def test_an_input_read_twice_is_awaited_once():
    plan = Schedule({"a": (), "b": ("a", "a")}, ["b"])
    plan.done(plan.take() or "")
    assert plan.take() == "b"


def test_after_a_failure_nothing_is_taken_and_what_runs_is_awaited():
    plan = Schedule({"a": (), "b": (), "c": (), "top": ("a", "b", "c")}, ["top"])
    assert (plan.take(), plan.take()) == ("a", "b")
    plan.fail("a")
    assert plan.take() is None
    assert not plan.finished
    plan.done("b")
    assert plan.finished
    assert plan.state("top") == schedule.WAITING


def test_only_what_runs_can_end():
    plan = Schedule(DIAMOND, ["top"])
    with pytest.raises(AssertionError, match="not running"):
        plan.done("base")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], list[str], list[str]]:
    """A graph in topological order, what is wanted of it, and what is known."""
    size = draw(st.integers(1, 12))
    names = [f"s{number}" for number in range(size)]
    inputs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:number]), max_size=3))) if number else ()
        for number, name in enumerate(names)
    }
    wanted = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    return inputs, wanted, draw(st.lists(st.sampled_from(names), max_size=size))


def needed(inputs: dict[str, tuple[str, ...]], wanted: list[str], known: list[str]) -> set[str]:
    """What must run, said the plain way: closed from the wanted down, through what is not known."""
    found: set[str] = set()
    for step in reversed(list(inputs)):
        read = any(step in inputs[reader] for reader in found)
        if (step in wanted or read) and step not in known:
            found.add(step)
    return found


@settings(max_examples=200, deadline=None)
@given(graphs(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_just_what_is_needed_runs_once_each_after_its_inputs(graph, chance, jobs):
    inputs, wanted, known = graph
    plan = Schedule(inputs, wanted, known)
    finished, running, ran = set(known), [], []
    while not plan.finished:
        while len(running) < jobs and (step := plan.take()) is not None:
            assert finished.issuperset(inputs[step])
            running.append(step)
            ran.append(step)
        step = running.pop(chance.randrange(len(running)))
        finished.add(step)
        plan.done(step)
    assert sorted(ran) == sorted(needed(inputs, wanted, known))
    assert finished.issuperset(wanted)


@settings(max_examples=100, deadline=None)
@given(graphs(), st.randoms(use_true_random=False), st.integers(1, 4), st.integers(0, 5))
def test_a_failure_ends_it_whatever_ran(graph, chance, jobs, good):
    inputs, wanted, known = graph
    plan = Schedule(inputs, wanted, known)
    running, ended, failed = [], 0, False
    while not plan.finished:
        while len(running) < jobs and (step := plan.take()) is not None:
            assert not failed
            running.append(step)
        step = running.pop(chance.randrange(len(running)))
        if ended < good:
            plan.done(step)
        else:
            plan.fail(step)
            failed = True
        ended += 1
    assert not running
