"""Parsing: what holds for every text."""

import contextlib
import re
from typing import Any

import msgspec
from dockerfiles import dockerfile_texts
from hypothesis import example, given

from jettison.base.errors import DockerfileError
from jettison.base.span import Source, Span
from jettison.syntax.nodes import Dockerfile, Instruction, Word
from jettison.syntax.parse import parse_dockerfile, parse_instruction
from jettison.syntax.render import render_dockerfile


def parsed(text: str) -> Dockerfile | DockerfileError:
    try:
        return parse_dockerfile(Source("Dockerfile", text))
    except DockerfileError as error:
        return error


def meaning(value: Any) -> Any:
    """A tree without what only says where and how it was written."""
    if isinstance(value, msgspec.Struct):
        names = [field.name for field in msgspec.structs.fields(value)]
        dropped = {"span", "keyword", "original", "source", "empty_continuations"}
        return (type(value).__name__, {name: meaning(getattr(value, name)) for name in names if name not in dropped})
    if isinstance(value, tuple):
        return [meaning(item) for item in value]
    return value


def words_of(value: Any) -> list[Word]:
    if isinstance(value, Word):
        return [value]
    if isinstance(value, tuple):
        return [word for item in value for word in words_of(item)]
    if isinstance(value, msgspec.Struct):
        return [word for field in msgspec.structs.fields(value) for word in words_of(getattr(value, field.name))]
    return []


@given(dockerfile_texts)
@example("\\")
@example("FROM a\nRUN <<")
@example("\ufeff")
@example("FROM a\nHEALTHCHECK --interval=\\")
@example("FROM a\nADD <<EOF << :\u00a0:\n")
def test_parsing_raises_nothing_but_its_own_error(text: str) -> None:
    result = parsed(text)
    if isinstance(result, DockerfileError):
        assert str(result)
        assert len(result.diagnostics) >= 1
        places = [(d.span.start_line, d.span.start_col) for d in result.diagnostics]
        assert places == sorted(places)


@given(dockerfile_texts)
def test_spans_lie_in_the_text_and_hold_the_words(text: str) -> None:
    lines = text.split("\n")

    def inside(span: Span) -> bool:
        ordered = (span.start_line, span.start_col) <= (span.end_line, span.end_col)
        return ordered and span.start_line >= 1 and span.end_line <= max(1, len(lines))

    result = parsed(text)
    if isinstance(result, DockerfileError):
        assert all(inside(d.span) for d in result.diagnostics)
        return
    for instruction in result.instructions:
        assert inside(instruction.span)
        for word in words_of(instruction):
            span = word.span
            assert inside(span)
            written = lines[span.start_line - 1][span.start_col : span.end_col]
            plain = word.text == word.text.strip() and not set("'\"\\").intersection(written)
            if span.start_line == span.end_line and plain:
                assert written.strip() == word.text


@given(dockerfile_texts)
def test_a_rendered_tree_means_the_same(text: str) -> None:
    # A blank that is none of these can end a word, but not a line: then its word would come to stand last.
    result = parsed(re.sub(r"[^\S\n\r\t ]", " ", text))
    if isinstance(result, Dockerfile):
        again = parsed(render_dockerfile(result))
        assert isinstance(again, Dockerfile), str(again)
        assert meaning(again.instructions) == meaning(result.instructions)
        assert meaning(again.directives) == meaning(result.directives)
        assert render_dockerfile(again) == render_dockerfile(result)


@given(dockerfile_texts)
def test_a_trigger_raises_nothing_but_its_own_error(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        assert isinstance(parse_instruction(text), Instruction)
