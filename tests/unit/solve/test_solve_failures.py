"""The driver with fake vertices: what fails, is cancelled or interrupted, and what is left of it."""

import threading

import pytest
from solving import bench, two_stages

from fakes.plans import image, plan, run
from fakes.ports import Bench
from jettison.base.errors import Cancelled, HostError, InputError, StepError
from jettison.planning.graph import Step

__all__ = ["bench"]


def failing(bench: Bench, step: str, error: BaseException) -> None:
    def fail(running: Step, _: object) -> None:
        if running.id == step:
            raise error

    bench.world.before = fail


def test_a_failure_is_placed_told_and_raised(bench: Bench):
    failing(bench, "build.2", StepError("process did not complete", process_exit_code=3))
    with pytest.raises(StepError) as caught:
        bench.solve(plan(*two_stages()))
    assert caught.value.process_exit_code == 3
    assert bench.kinds("build.2") == ["StepStarted", "StepFailed"]
    assert "app.1" not in bench.world.executed


def test_what_was_finished_before_a_failure_is_kept(bench: Bench):
    failing(bench, "build.2", StepError("no"))
    with pytest.raises(StepError):
        bench.solve(plan(*two_stages()))
    bench.world.before = lambda *_: None
    bench.solve(plan(*two_stages()))
    assert "build.1" not in bench.world.executed


def test_the_first_failure_calls_the_others_off_and_waits_for_them(bench: Bench):
    both = threading.Barrier(2, timeout=10)
    ended = []

    def act(step: Step, cancel: object) -> None:
        if step.id == "bad.1":
            both.wait()
            raise StepError("bad")
        if step.id == "slow.1":
            both.wait()
            while not cancel.is_set():  # a process that is ended when asked
                threading.Event().wait(0.001)
            ended.append(step.id)

    bench.world.before = act
    steps = (image(), run("bad.1", "b", "image:base"), run("slow.1", "s", "image:base"))
    last = run("app.2", "link", "bad.1", "slow.1")
    with pytest.raises(StepError, match="bad"):
        bench.solve(plan(*steps, last))
    assert ended == ["slow.1"]
    assert bench.kinds("slow.1") == ["StepStarted", "StepFailed"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("jettison ")]


def test_a_cancelled_solve_raises_cancelled_and_the_next_goes_on_from_there(bench: Bench):
    bench.world.before = lambda step, _: bench.cancel.set() if step.id == "build.2" else None
    with pytest.raises(Cancelled):
        bench.solve(plan(*two_stages()))
    assert "app.1" not in bench.world.executed
    bench.cancel = type(bench.cancel)()
    bench.world.before = lambda *_: None
    bench.solve(plan(*two_stages()))
    assert "build.1" not in bench.world.executed


def test_one_that_is_cancelled_beforehand_does_nothing(bench: Bench):
    bench.cancel.set()
    with pytest.raises(Cancelled):
        bench.solve(plan(*two_stages()))
    assert bench.world.executed == []
    assert bench.events == []


@pytest.mark.parametrize("asked", ["is_told", "local_digest"])
def test_a_missing_file_fails_its_step(bench: Bench, monkeypatch: pytest.MonkeyPatch, asked: str):
    def missing(step: Step, index: int) -> object:
        raise InputError(f'"/nope" of input {index}: not found')

    bench.world.tells = asked == "is_told"
    monkeypatch.setattr(bench.world, asked, missing)
    with pytest.raises(InputError, match="not found"):
        bench.solve(plan(*two_stages()))
    assert bench.kinds("build.1") == ["StepStarted", "StepFailed"]


def test_what_the_system_refuses_is_the_hosts_fault(bench: Bench):
    failing(bench, "build.2", OSError(24, "Too many open files"))
    with pytest.raises(HostError, match="Too many open files"):
        bench.solve(plan(*two_stages()))


def test_a_full_disk_is_told_in_one_way(bench: Bench):
    failing(bench, "build.2", OSError(28, "No space left on device"))
    with pytest.raises(HostError, match="the store's disk is full"):
        bench.solve(plan(*two_stages()))


def test_layers_of_a_step_that_fails_afterwards_are_discarded(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise HostError("the index is full")

    monkeypatch.setattr(bench.cache, "save", broken)
    with pytest.raises(HostError, match="full"):
        bench.solve(plan(image(), run("s.1", "x", "image:base")))
    assert bench.world.discarded


def test_ctrl_c_ends_what_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    from jettison.solve.crew import Crew

    begun = threading.Event()
    ended = threading.Event()

    def act(step: Step, cancel: object) -> None:
        if step.id == "s.1":
            begun.set()
            while not cancel.is_set():
                threading.Event().wait(0.001)
            ended.set()

    bench.world.before = act
    wait, interrupted = Crew.wait, []

    def interrupt(crew: Crew[object]) -> object:
        if "s.1" in crew._threads and not interrupted and begun.wait(10):
            interrupted.append(True)
            raise KeyboardInterrupt
        return wait(crew)

    monkeypatch.setattr(Crew, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.solve(plan(image(), run("s.1", "x", "image:base")))
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("jettison ")]
