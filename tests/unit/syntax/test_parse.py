"""What the golden files do not show: triggers read back, syntax detection, suggestions, durations, places."""

import pickle

import pytest

from jettison.base.errors import DockerfileError
from jettison.base.span import Source
from jettison.syntax.directives import detect_syntax
from jettison.syntax.durations import parse_duration
from jettison.syntax.heredoc import lone_mark
from jettison.syntax.nodes import Copy, Run, ShellForm
from jettison.syntax.parse import parse_dockerfile, parse_instruction
from jettison.syntax.suggest import closest, distance


def errors_of(text: str) -> list[str]:
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(Source("Dockerfile", text))
    return [diagnostic.message for diagnostic in caught.value.diagnostics]


def test_a_stored_trigger_is_read_with_its_heredoc() -> None:
    run = parse_instruction("RUN cat <<EOF\nx\nEOF")
    assert isinstance(run, Run)
    assert isinstance(run.command, ShellForm)
    assert run.command.heredocs[0].body == "x\n"
    assert isinstance(parse_instruction("COPY --from=a b c"), Copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "onbuild trigger should be a single expression"),
        ("RUN a\nRUN b", "onbuild trigger should be a single expression"),
        ("ONBUILD RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("RUNN", "unknown instruction: RUNN"),
        ("RUN <<EOF", "unterminated heredoc"),
    ],
)
def test_a_broken_trigger_names_its_image(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_instruction(text, "ONBUILD of alpine")
    assert caught.value.message == message
    assert str(caught.value).startswith("ONBUILD of alpine:1: ")


def test_a_trigger_read_back_is_the_trigger() -> None:
    text = "FROM a\nONBUILD RUN --mount=type=tmpfs,target=/x cat <<-'E' \\\n && b\n\tx\n\tE\n"
    onbuild = parse_dockerfile(Source("D", text)).instructions[1]
    trigger = parse_instruction(onbuild.text)  # type: ignore[attr-defined]
    assert isinstance(trigger, Run)
    assert trigger.command.heredocs[0].body == "x\n"  # type: ignore[union-attr]
    assert trigger.original == onbuild.trigger.original  # type: ignore[attr-defined]


def test_the_error_goes_through_pickle_whole() -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(Source("Dockerfile", "FROM a b\nRUNN\n"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert len(again.diagnostics) == 2


def test_all_words_of_a_misspelt_from_are_not_called_stageless() -> None:
    assert errors_of("FORM alpine\nRUN a\nCOPY b c\n") == ["unknown instruction: FORM"]


def test_the_limit_of_a_line_is_in_bytes() -> None:
    parse_dockerfile(Source("D", "FROM a\nRUN " + "x" * 65531))
    parse_dockerfile(Source("D", "FROM a\nRUN " + "\udcff" * 65531))  # bytes that were no UTF-8
    message = "dockerfile line greater than max allowed size of 65535"
    assert errors_of("FROM a\nRUN " + "x" * 65532) == [message]
    assert errors_of("FROM a\nRUN " + "é" * 32766) == [message]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("#!/usr/bin/env x\n# SYNTAX = a/b  c\n", "a/b"),
        ("\ufeff# escape=`\n# syntax=x\n", "x"),
        ("// syntax=x\n", "x"),
        ('{"syntax": "x", "other": 1}', "x"),
        ("# comment\n# syntax=x\n", None),
        ("\n# syntax=x\n", None),
        ("FROM a\n# syntax=x\n", None),
        ('{"syntax": 1}', None),
        ("{", None),
        ("", None),
    ],
)
def test_syntax_is_detected(text: str, expected: str | None) -> None:
    assert detect_syntax(Source("Dockerfile", text)) == expected


@pytest.mark.parametrize(
    ("text", "name", "expand"),
    [
        ("<<EOF", "EOF", True),
        ("<< EOF", "EOF", True),
        ("<<'EOF'", "EOF", False),
        ('<<-"E F"', "E F", False),
        (r"<<\EOF", "EOF", False),
        ("<<$x", "$x", True),
    ],
)
def test_a_heredoc_alone_is_a_script(text: str, name: str, expand: bool) -> None:
    mark = lone_mark(text)
    assert mark is not None
    assert (mark.name, mark.expand) == (name, expand)


@pytest.mark.parametrize("text", ["", "<<", "<<EOF cmd", "cat <<EOF", "<<<EOF", "<<A <<B", '<<"A', '<<""'])
def test_anything_else_is_a_command(text: str) -> None:
    assert lone_mark(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("3s", 3_000_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("+1µs", 1_000),
        ("-2m", -120_000_000_000),
        ("0.0000000001s", 0),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "3", "s", "1x", ".s", "1 s", "1s ", "--1s", "1e3s", "9" * 30 + "h", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_suggestions() -> None:
    names = ["from", "run", "copy", "entrypoint"]
    assert [closest(word, names) for word in ("FORM", "rum", "COPPY", "enterpoint")] == [
        "from",
        "run",
        "copy",
        "entrypoint",
    ]
    assert [closest(word, names) for word in ("x", "foo", "", "copyright")] == [None, None, None, None]
    assert distance("abcd", "acbd") == 1
    assert distance("", "abc") == 3
