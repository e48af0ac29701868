"""Ctrl-C, SIGTERM and worse while a step runs: everything ends, and the next build goes on from what was finished."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

import jettison
from aftermath import assert_nothing_is_left, good_build
from jettison.record.model import AnyEvent, StepOutput
from project import LIMIT_SECONDS, Project, project

__all__ = ["project"]

LONG = "FROM busybox\nRUN echo one > /one\nRUN echo started; (setsid sleep 4321 &) ; sleep 4321\n"
SHORT = "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n"
DEAF = "FROM busybox\nRUN trap '' INT TERM HUP; echo started; while :; do sleep 1; done\n"


@contextmanager
def running(project: Project, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program, started as from a terminal: in a process group of its own, with no signal ignored."""
    process = subprocess.Popen(
        [*project.program, *words],
        cwd=project.context,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    patience = threading.Timer(LIMIT_SECONDS, process.kill)
    patience.start()
    try:
        with process:
            yield process
    finally:
        patience.cancel()


def building(project: Project, dockerfile: str) -> tuple[str, ...]:
    project.write("Dockerfile", dockerfile)
    layout = project.base().bases["busybox"]
    return ("build", "--progress=plain", f"--build-context=busybox=oci-layout://{layout}", ".")


def wait_for(output: IO[bytes] | None, word: bytes) -> None:
    """Read lines until one ends with `word`."""
    assert output
    for line in output:
        if line.rstrip().endswith(word):
            return
    raise AssertionError(f"{word!r} was never printed")


def rest(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    return process.stdout.read().decode()


@pytest.mark.parametrize("dockerfile", [LONG, DEAF], ids=["long", "deaf"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_build(project: Project, dockerfile: str, number: signal.Signals) -> None:
    with running(project, *building(project, dockerfile)) as process:
        wait_for(process.stdout, b"started")
        process.send_signal(number)
        text = rest(process)
    assert process.returncode == 130
    assert "cancelled" in text
    assert "Traceback" not in text
    assert_nothing_is_left(project)


def test_ctrl_c_reaches_the_whole_group_and_the_next_build_goes_on(project: Project) -> None:
    with running(project, *building(project, LONG)) as process:
        wait_for(process.stdout, b"started")
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)
        rest(process)
    assert process.returncode == 130
    assert_nothing_is_left(project)
    project.write("Dockerfile", SHORT)
    steps = {step["display"].partition("] ")[2]: step["verdict"] for step in project.record()["steps"]}
    assert steps["RUN echo one > /one"] == "cached"
    assert steps["RUN echo two > /two"] == "ran"


def test_what_a_killed_build_leaves_goes_with_the_next(project: Project) -> None:
    with running(project, *building(project, LONG)) as process:
        wait_for(process.stdout, b"started")
        process.kill()
        rest(process)
    assert process.returncode == -signal.SIGKILL
    good_build(project)
    assert_nothing_is_left(project)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_a_signal_at_any_moment(project: Project, after: float) -> None:
    good_build(project)
    words = building(project, SHORT)
    with running(project, *words, "--no-cache") as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        text = rest(process)
    # Before the first instruction of ours the signal is the kernel's to answer.
    assert process.returncode in (0, 130, -signal.SIGTERM)
    assert "Traceback" not in text
    assert "ran" not in good_build(project)
    assert_nothing_is_left(project)


def test_cancel_from_another_thread(project: Project) -> None:
    cancel = threading.Event()
    layout = project.base().bases["busybox"]
    request = jettison.BuildRequest(
        context=project.context,
        dockerfile_text=LONG,
        build_contexts={"busybox": f"oci-layout://{layout}"},
        store=project.store,
    )
    events: list[AnyEvent] = []

    def listen(event: AnyEvent) -> None:
        events.append(event)
        if isinstance(event, StepOutput) and event.text == "started":
            threading.Thread(target=cancel.set).start()

    with pytest.raises(jettison.Cancelled) as caught:
        jettison.build(request, on_event=listen, cancel=cancel)
    assert caught.value.exit_code == 130
    assert [event.text for event in events if isinstance(event, StepOutput)] == ["started"]
    assert_nothing_is_left(project)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1"])
def test_run_passes_signals_on(project: Project, name: str) -> None:
    built(project)
    script = f"trap 'echo got {name}; exit 7' {name}; echo up; while :; do sleep 0.05; done"
    with running(project, "run", "app", "sh", "-c", script) as process:
        wait_for(process.stdout, b"up")
        process.send_signal(signal.Signals[f"SIG{name}"])
        text = rest(process)
    assert (process.returncode, text) == (7, f"got {name}\n")
    assert_nothing_is_left(project)


def test_run_ends_as_its_program_does(project: Project) -> None:
    built(project)
    with running(project, "run", "app", "sh", "-c", "echo up; exec sleep 4321") as process:
        wait_for(process.stdout, b"up")
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    assert_nothing_is_left(project)


def test_nothing_outlives_a_run_that_is_killed(project: Project) -> None:
    built(project)
    with running(project, "run", "app", "sh", "-c", "setsid sleep 4321 & echo up; sleep 4321") as process:
        wait_for(process.stdout, b"up")
        process.kill()
    good_build(project)
    assert_nothing_is_left(project)


def built(project: Project) -> None:
    words = building(project, 'FROM busybox\nCMD ["true"]\n')
    project.jettison(*words, "--tag=app").ok()
