"""The rules as data, and how the walk bears what lowering would refuse."""

import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lint_world import cases, checked, subject_of

import jettison.lint.rules
from jettison.base.errors import DockerfileError
from jettison.lint.registry import ABOUT, all_rules, load, rules_about
from jettison.lint.rule import kebab
from jettison.planning.needs import LowerOptions

NAMES = list(ABOUT)


def test_there_are_22_sorted() -> None:
    assert len(NAMES) == 22
    assert sorted(NAMES) == NAMES


def test_each_file_is_a_rule_and_each_rule_a_file() -> None:
    folder = os.path.dirname(jettison.lint.rules.__file__)
    files = {name.removesuffix(".py") for name in os.listdir(folder) if name.endswith(".py")} - {"__init__"}
    assert files == {kebab(name).replace("-", "_") for name in NAMES}
    assert [rule.name for rule in all_rules()] == NAMES


def test_one_is_experimental() -> None:
    assert [rule.name for rule in all_rules() if rule.experimental] == ["InvalidDefinitionDescription"]


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("JSONArgsRecommended", "json-args-recommended"),
        ("FromAsCasing", "from-as-casing"),
        ("SecretsUsedInArgOrEnv", "secrets-used-in-arg-or-env"),
        ("UndefinedVar", "undefined-var"),
    ],
)
def test_pages(name: str, page: str) -> None:
    assert load(name).url == f"https://docs.docker.com/go/dockerfile/rule/{page}/"


def test_an_unknown_rule() -> None:
    with pytest.raises(KeyError):
        load("os")


def test_a_file_without_its_instructions_does_not_import_a_rule() -> None:
    module = "jettison.lint.rules.maintainer_deprecated"
    sys.modules.pop(module, None)
    checked("FROM scratch\nCOPY a /\n")
    assert module not in sys.modules
    checked("FROM scratch\nMAINTAINER a\n")
    assert module in sys.modules


def test_every_rule_looks_at_something() -> None:
    assert all(about for about in ABOUT.values())


@pytest.mark.parametrize("case", cases())
def test_no_rule_is_left_out_that_finds_something(case: str) -> None:
    subject = subject_of(case)
    found = {rule.name for rule in all_rules() if any(True for _ in rule.check(subject))}
    assert found <= {rule.name for rule in rules_about(subject)}


@pytest.mark.parametrize(
    "text",
    [
        "ARG A=1\n",  # no stage at all
        "FROM $UNSET\nCOPY $a /\n",
        "FROM ${A:?needed}\nFROM ${B\nCOPY a /\n",
        "FROM --platform=no/such/thing/at/all busybox\nCOPY a /\n",
        "FROM --platform=$X scratch\n",
        "FROM UPPER/case AS a\nFROM a\nWORKDIR x\n",
        "FROM scratch\nCOPY ${a?no} ${b:?} /\nWORKDIR ${c?no}\nENV ${d?x}=${e?x}\nEXPOSE ${f?x}\n",
        "FROM scratch\nCOPY --from=7 a /\nCOPY --from=$x a /\nRUN --mount=from=b,target=/ a\nFROM scratch AS b\n",
        "FROM scratch AS a\nCOPY --from=a a /\n",
        "FROM broken-trigger\nCOPY $x /\n",
    ],
)
def test_what_a_build_refuses_is_looked_at_all_the_same(text: str) -> None:
    checked(text)


def test_build_args_count_as_values() -> None:
    _, found = checked("FROM scratch\nARG DIR\nWORKDIR $DIR\n", LowerOptions(build_args={"DIR": "app"}))
    assert [one.rule for one in found] == ["WorkdirRelativePath"]


def test_env_wins_over_arg() -> None:
    _, found = checked("FROM scratch\nENV DIR=/app\nARG DIR=sub\nWORKDIR $DIR\n")
    assert found == ()


def test_what_depends_on_an_unknown_image_is_not_sure() -> None:
    _, found = checked("FROM unknown\nENV DIR=$HOME\nARG SUB=${DIR}x\nWORKDIR $SUB\n")
    assert found == ()


def test_values_that_double_line_by_line_end() -> None:
    _, found = checked("FROM scratch\nENV A=aa\n" + "ENV A=$A$A\n" * 60 + "WORKDIR $A\nCOPY $A $b /\n")
    assert [one.rule for one in found] == ["UndefinedVar"]


def test_a_long_file_is_no_trouble() -> None:
    many = "".join(f"FROM scratch AS s{n}\nCOPY --from=s{max(0, n - 1)} $a{n} /\n" for n in range(300))
    _, found = checked(many)
    assert len(found) == 300


LINES = st.sampled_from(
    [
        "FROM scratch",
        "FROM busybox AS A",
        "from $X as b",
        "FROM --platform=$P a",
        "ARG X=$Y Z",
        "ARG Y",
        "ENV A=$B C=${D:-$E}",
        "ENV A b c",
        "COPY $A b /",
        "COPY --from=a $A /",
        "WORKDIR $A",
        "EXPOSE $A 80/TCP",
        "ONBUILD COPY $Q /",
        "CMD a",
        'SHELL ["sh"]',
        "RUN --mount=type=cache,target=$A a \\",
        "",
        "# check=skip=all",
        "# X y",
        "LABEL ${A=x} b",
        "VOLUME ${A/b/c} ${",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=12))
def test_no_text_breaks_a_rule(lines: list[str]) -> None:
    try:
        tree, found = checked("\n".join(lines), check="experimental=all", ignore="b\n")
    except DockerfileError:
        return
    last = tree.source.text.count("\n") + 1
    assert all(1 <= one.span.start_line <= one.span.end_line <= last for one in found)
