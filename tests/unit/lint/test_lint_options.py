"""Which rules run: the grammar of `check=`, and what comments excuse."""

import pytest
from lint_world import checked

from jettison.lint.options import CheckOptions, comment_options, parse_options


def test_nothing_is_the_default() -> None:
    assert parse_options("") == CheckOptions()
    assert parse_options(" ; ;") == CheckOptions()


def test_keys_in_any_order_with_blanks() -> None:
    options = parse_options(" error = true ; experimental= A ;skip=B , C,")
    assert options == CheckOptions(skip=frozenset("BC"), experimental=frozenset("A"), error=True)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_truth_as_go_reads_it(text: str) -> None:
    assert parse_options(f"error={text}").error


@pytest.mark.parametrize("text", ["0", "f", "FALSE", "False"])
def test_untruth_as_go_reads_it(text: str) -> None:
    assert not parse_options(f"error={text}").error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("skip", 'invalid check option "skip"'),
        ("skp=A", 'invalid check option "skp=A"'),
        ("error=yes", "error=yes"),
        ("error=", "true or false"),
    ],
)
def test_what_makes_no_sense(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_options(text)


def test_a_remark_is_no_part_of_it() -> None:
    assert parse_options("skip=A // B, error=true").skip == {"A"}
    assert not parse_options("skip=A // ;error=true").error


def test_experimental_rules_run_when_asked_for_and_are_not_skipped() -> None:
    options = parse_options("skip=all;experimental=A")
    assert options.runs("A", experimental=True)
    assert not options.runs("B", experimental=True)
    assert not options.runs("A", experimental=False)
    assert parse_options("experimental=all").runs("B", experimental=True)


def test_comments_merge() -> None:
    found = comment_options(("check=skip=A", "why", "Check = skip = B"))
    assert found is not None
    assert found.skip == {"A", "B"}
    assert comment_options(("check this", "checks=skip=A", "check=nonsense")) is None


def test_a_comment_excuses_its_own_instruction_alone() -> None:
    _, found = checked("FROM scratch\n# check=skip=JSONArgsRecommended\nCMD a\nENTRYPOINT b\n")
    assert [(one.rule, one.span.start_line) for one in found] == [("JSONArgsRecommended", 4)]


def test_a_comment_above_a_stage_excuses_the_from_line() -> None:
    _, found = checked("FROM scratch AS a\n# check=skip=StageNameCasing\nFROM a AS Final\nCMD a\n")
    assert [one.rule for one in found] == ["JSONArgsRecommended"]


def test_findings_are_in_order_of_place() -> None:
    _, found = checked("from scratch AS Build\nMAINTAINER me\nCMD a\nENV TOKEN x\nRUN a\n")
    places = [(one.span.start_line, one.span.start_col, one.rule) for one in found]
    assert places == sorted(places)
    assert len(places) == 7


def test_each_thing_is_said_once() -> None:
    _, found = checked("FROM scratch\nCOPY $foo ${foo} $foo /\n")
    assert len(found) == 1
