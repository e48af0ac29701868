"""On a terminal: live progress that leaves readable lines behind, ^C, and programs that are talked to."""

import os
import signal

import pytest

from aftermath import assert_nothing_is_left
from project import Project, project
from terminal import Terminal

__all__ = ["project"]

DOCKERFILE = """FROM busybox
RUN for n in 1 2 3 4 5 6 7 8 9; do echo line $n; sleep 0.05; done; echo last > /last
RUN printf 'half\\rline\\033[31mred\\n'; echo $'\\xff\\xfe'
"""


def start(project: Project, *words: str, columns: int = 100) -> Terminal:
    environment = {name: value for name, value in project.environment().items() if name != "NO_COLOR"}
    return Terminal([*project.program, *words], environment, project.context, columns)


def build_words(project: Project, dockerfile: str) -> tuple[str, ...]:
    project.write("Dockerfile", dockerfile)
    return ("build", f"--build-context=busybox=oci-layout://{project.base().bases['busybox']}", "--tag=app", ".")


@pytest.mark.parametrize("columns", [100, 40, 10])
def test_live_progress_ends_with_readable_lines(project: Project, columns: int) -> None:
    terminal = start(project, *build_words(project, DOCKERFILE), columns=columns)
    assert terminal.end() == 0
    shown = "".join(terminal.screen()) if columns < 100 else "\n".join(terminal.screen())
    assert "Traceback" not in terminal.text
    assert "| line " in terminal.text  # it was shown while it ran
    assert "| line " not in shown
    assert "RUN for n in 1 2 3" in shown or columns < 100
    assert "done in" in shown
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h")  # the cursor is back


def test_an_idle_build_prints_plain_lines(project: Project) -> None:
    words = build_words(project, DOCKERFILE)
    project.jettison(*words).ok()
    terminal = start(project, *words)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    assert [line.rpartition("  ")[2] for line in terminal.screen()[:3]] == ["cached, definition"] * 3
    assert "app:latest" in terminal.screen()[-2]


def test_a_failure_shows_the_last_lines_once(project: Project) -> None:
    terminal = start(project, *build_words(project, "FROM busybox\nRUN seq 30; echo the end; exit 3\n"))
    assert terminal.end() == 1
    screen = terminal.screen()
    assert screen.count("the end") == 1
    assert screen.count("30") == 1
    assert any(line.startswith("jettison: Dockerfile:2: process") for line in screen)


def test_ctrl_c_ends_a_build(project: Project) -> None:
    terminal = start(project, *build_words(project, "FROM busybox\nRUN echo started; sleep 4321\n"))
    terminal.wait_for("started")
    terminal.press("\x03")
    assert terminal.end() == 130
    assert any("cancelled" in line for line in terminal.screen())
    assert terminal.text.count("\x1b[?25l") == terminal.text.count("\x1b[?25h")
    assert_nothing_is_left(project)


def test_no_color_is_honoured(project: Project) -> None:
    words = [*project.program, *build_words(project, DOCKERFILE)]
    terminal = Terminal(words, project.environment(), project.context)
    assert terminal.end() == 0
    colours = [part for part in terminal.text.split("\x1b[")[1:] if part.split("m")[0].replace(";", "").isdigit()]
    assert not any(code in ("31", "32", "33", "36") for part in colours for code in part.split("m")[0].split(";"))


def test_a_dumb_terminal_gets_plain_lines(project: Project) -> None:
    words = ["env", "TERM=dumb", *project.program, *build_words(project, DOCKERFILE)]
    terminal = Terminal(words, project.environment(), project.context)
    assert terminal.end() == 0
    assert "#2 [2/3] RUN for n" in terminal.text


def test_a_shell_is_talked_to_and_ctrl_c_is_its_own(project: Project) -> None:
    project.jettison(*build_words(project, 'FROM busybox\nCMD ["sh"]\n')).ok()
    terminal = start(project, "run", "-it", "app")
    terminal.press("sh -c 'echo be\"\"gun; exec sleep 4321'\n")  # said by the one that ^C is for
    terminal.wait_for("begun")
    terminal.press("\x03")
    terminal.press("echo still $((40 + 2)); tty; exit 5\n")
    terminal.wait_for("still 42")
    assert terminal.end() == 5
    assert_nothing_is_left(project)


def test_ctrl_c_ends_a_program_that_does_not_care(project: Project) -> None:
    project.jettison(*build_words(project, "FROM busybox\n")).ok()
    terminal = start(project, "run", "app", "sh", "-c", "echo begun; exec sleep 4321")
    terminal.wait_for("begun")
    terminal.press("\x03")
    assert terminal.end() == 130
    assert os.path.isdir(project.store)
    assert_nothing_is_left(project)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_closed_window_ends_what_ran_in_it(project: Project, busy: bool) -> None:
    project.jettison(*build_words(project, 'FROM busybox\nCMD ["sh"]\n')).ok()
    terminal = start(project, "run", "app")
    terminal.press("sh -c 'echo be\"\"gun; exec sleep 4321'\n" if busy else 'echo be""gun\n')
    terminal.wait_for("begun")
    assert terminal.hang_up() in (128 + signal.SIGHUP, 0)
    assert_nothing_is_left(project)


def test_a_closed_window_ends_a_build(project: Project) -> None:
    terminal = start(project, *build_words(project, "FROM busybox\nRUN echo started; sleep 4321\n"))
    terminal.wait_for("started")
    assert terminal.hang_up() in (130, 6)  # nothing can be shown any more
    assert_nothing_is_left(project)
