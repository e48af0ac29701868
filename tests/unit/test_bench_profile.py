"""The profile in docs/benchmarks.md: stacks of py-spy's raw format, folded to rows."""

import os
import sys
from types import SimpleNamespace

import pytest

from bench import meter, profiling, table
from bench.profiling import Frame, Row, Stack

SOURCE = os.path.join(os.path.dirname(__file__), "..", "..", "src")
DRIVER = 'process 1:"/venv/bin/python3 /venv/bin/jettison build -t made /a b;c"'
KEEPER = f"{DRIVER};process 2:"  # the command follows
RUN = "main (jettison/cli/main.py:45)"
LOOP = f"{RUN};main (jettison/sandbox/keeper.py:59);Loop.run (jettison/sandbox/keeper.py:189)"
CHILD = f"{LOOP};Loop._be_child (jettison/sandbox/keeper.py:227)"


def _text(file: str, line: int) -> str:
    lines = {
        ("jettison/sandbox/output.py", 30): "    ready = [fd for fd, _ in poll.poll()]\n",
        ("jettison/sandbox/output.py", 48): "    data = os.read(fd, _READ)\n",
        ("jettison/store/names.py", 84): "    return self._select(name)\n",
        ("jettison/tree/conveyor.py", 311): "    self._free += len(os.read(self._hearing, 4))\n",
        ("jettison/tree/materialize.py", 195): "    target = os.open(at, _NEW, 0o600)  # of its own\n",
        ("jettison/tree/materialize.py", 205): "    self._disk.finish(target, row)\n",
        ("threading.py", 320): "    waiter.acquire()\n",
        ("threading.py", 375): "    waiter.release()\n",
    }
    return lines.get((file, line), "")


def _reduced(*lines: str) -> profiling.Profile:
    return profiling.reduced(profiling.stacks(lines), _text)


def test_a_line_is_the_processes_the_frames_and_a_count() -> None:
    line = f'{DRIVER};process 22:"";{RUN};<module> (re/__init__.py:9);native (?) 164\n'
    frames = (
        Frame("main", "jettison/cli/main.py", 45),
        Frame("<module>", "re/__init__.py", 9),
        Frame("native", "?", 0),
    )
    assert profiling.stacks([line, "\n"]) == [Stack((1, 22), frames, 164)]


def test_samples_of_a_function_are_one_row_with_its_commonest_line() -> None:
    at = f"{CHILD};_Writer._copy (jettison/tree/materialize.py"
    found = _reduced(f'{KEEPER}"k";{at}:205) 2', f'{KEEPER}"k";{at}:195) 3', f"{DRIVER};{RUN} 4")
    assert found.rows == (
        Row("child", "jettison/tree/materialize.py:_Writer._copy", "target = os.open(at, _NEW, 0o600)", 5),
        Row("driver", "jettison/cli/main.py:main", "", 4),
    )
    assert (found.samples, found.waiting) == (9, 0)


@pytest.mark.parametrize(
    "leaf",
    [
        "Pump.run (jettison/sandbox/output.py:30)",
        "Condition.wait (threading.py:320)",
        "_Ring.__next__ (jettison/tree/conveyor.py:311)",
    ],
)
def test_a_sample_on_a_line_that_waits_is_left_out(leaf: str) -> None:
    found = _reduced(f'{KEEPER}"k";{CHILD};{leaf} 7', f"{DRIVER};{RUN} 1")
    assert (found.samples, found.waiting) == (1, 7)


@pytest.mark.parametrize(
    "leaf", ["_read (jettison/sandbox/output.py:48)", "Names.find (jettison/store/names.py:84)", "lost (x.py:1)"]
)
def test_a_sample_on_another_line_counts(leaf: str) -> None:
    assert _reduced(f"{DRIVER};{RUN};{leaf} 7").samples == 7


def test_a_process_is_told_by_the_function_that_only_runs_in_it() -> None:
    worker = f"{CHILD};_work (jettison/tree/conveyor.py:280)"
    found = _reduced(
        f"{DRIVER};{RUN};a (x.py:1) 5",
        f'{KEEPER}"k";{LOOP};b (x.py:1) 4',
        f'{KEEPER}"k";process 3:"k";{CHILD};c (x.py:1) 3',
        f'{KEEPER}"k";process 3:"k";Thread._bootstrap (threading.py:1);d (x.py:1) 2',
        f'{KEEPER}"k";process 3:"k";process 4:"k";{worker};e (x.py:1) 1',
    )
    assert [(row.process, row.function) for row in found.rows] == [
        (kind, f"x.py:{name} for {ours}")
        for kind, name, ours in (
            ("driver", "a", "jettison/cli/main.py:main"),
            ("keeper", "b", "jettison/sandbox/keeper.py:Loop.run"),
            ("child", "c", "jettison/sandbox/keeper.py:Loop._be_child"),
        )
    ] + [("child", "x.py:d"), ("worker", "x.py:e for jettison/tree/conveyor.py:_work")]


def test_a_process_is_what_it_became_whatever_was_seen_last() -> None:
    child = f'{KEEPER}"k";process 3:"k"'
    found = _reduced(f"{child};{CHILD} 2", f"{child};{LOOP};_fork (x.py:1) 1")
    assert [row.process for row in found.rows] == ["child", "child"]


def test_a_function_of_somebody_elses_names_for_which_of_ours_it_works() -> None:
    found = _reduced(f"{DRIVER};{RUN};give (jettison/a.py:1);Condition.notify (threading.py:375) 1")
    assert found.rows[0].function == "threading.py:Condition.notify for jettison/a.py:give"
    assert found.rows[0].line == "waiter.release()"


def test_imports_are_one_row() -> None:
    load = "_find_and_load (<frozen importlib._bootstrap>:1)"
    found = _reduced(
        f"{DRIVER};{RUN};{load};get_code (<frozen importlib._bootstrap_external>:2) 2",
        f"{DRIVER};{RUN};{load};<module> (typing.py:3);compile (re/__init__.py:4) 3",
    )
    assert found.rows == (Row("driver", profiling.IMPORTS, "", 5),)


@pytest.mark.parametrize("name", [*profiling.PIPES, *(function for _, function in profiling.PROCESSES)])
def test_functions_that_are_known_by_name_are_there(name: str) -> None:
    file, _, function = name.partition(":")
    with open(os.path.join(SOURCE, file), encoding="utf-8") as source:
        text = source.read()
    for part in function.replace(".<locals>", "").split("."):
        assert f"def {part}(" in text or f"class {part}" in text
    assert profiling.PIPES.get(name, "") in text


def _taken(monkeypatch: pytest.MonkeyPatch, path: str, wrote: str | Exception) -> profiling.Profile | str:
    """With these folders in PATH, and a jettison that lets itself be watched, or fails."""

    def watched(*_: object) -> str:
        if isinstance(wrote, Exception):
            raise wrote
        return wrote

    monkeypatch.setenv("PATH", path)
    return profiling.taken(SimpleNamespace(watched=watched, python=sys.executable), None)


@pytest.fixture
def spy(tmp_path) -> str:
    """A folder in which there is a program of that name."""
    program = tmp_path / "py-spy"
    program.touch(0o755)
    return str(tmp_path)


def test_without_the_program_there_is_no_profile(monkeypatch, tmp_path) -> None:
    assert _taken(monkeypatch, str(tmp_path), "") == "py-spy is not installed"


@pytest.mark.parametrize("error", [meter.CommandError("ended with 1:\n\nNot permitted\n"), OSError("Not permitted")])
def test_where_it_may_not_watch_it_says_why(monkeypatch, spy, error) -> None:
    assert _taken(monkeypatch, spy, error) == "py-spy could not do it: Not permitted"


def test_where_it_saw_nothing_but_waiting_there_is_no_profile(monkeypatch, spy) -> None:
    assert _taken(monkeypatch, spy, f"{DRIVER};Condition.wait (nowhere.py:0) 0\n") == "py-spy saw nothing"


def test_lines_are_those_of_the_modules_that_jettison_imports(monkeypatch, spy) -> None:
    found = _taken(monkeypatch, spy, f"{DRIVER};{RUN} 1\n{DRIVER};f (abc.py:1) 2\n")
    assert isinstance(found, profiling.Profile)
    assert found.rows[0].line.startswith("# Copyright")


def test_the_page_says_why_there_is_no_profile() -> None:
    assert list(table.profiled("py-spy is not installed", 1.0)) == ["No profile: py-spy is not installed."]


def test_the_page_has_the_largest_rows_and_the_rest_as_one() -> None:
    rows = (Row("child", "a.py:f", "x = y | z", 50), *(Row("driver", f"a.py:f{at}", "", 10) for at in range(15)))
    lines = list(table.profiled(profiling.Profile(rows, 200, 30), 0.5))
    assert "200 samples (0.40 s), 80% of the 0.50 s" in lines[0]
    assert "30 more" in lines[0]
    assert lines[4] == "| 25% | child | `a.py:f` | `x = y \\| z` |"
    assert len(lines) == 4 + profiling.ROWS + 1
    assert lines[-1] == "| 30% | | 6 others | |"
