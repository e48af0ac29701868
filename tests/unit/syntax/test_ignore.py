"""Ignore patterns: reference §1.10."""

import pytest

from jettison.base.errors import InputError
from jettison.syntax.ignore import IgnoreMatcher, IgnoreRule, parse_ignore, parse_rules


@pytest.mark.parametrize(
    ("pattern", "hidden", "shown"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b/a", "ab", "A"]),
        ("a/b", ["a/b", "a/b/c"], ["a", "a/c", "x/a/b"]),
        ("*.md", ["x.md", "x.md/y", ".md"], ["d/x.md", "x.mdx"]),
        ("*", ["a", "a/b", ".h"], []),
        ("*/*", ["a/b", "a/b/c"], ["a"]),
        ("a?c", ["abc", "a.c"], ["ac", "a/c", "abbc"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a-c]x", ["dx"], ["ax", "/x"]),
        ("**/x", ["x", "a/x", "a/b/x", "a/x/y"], ["ax", "a/bx"]),
        ("**x", ["x", "ax", "a/bx"], ["xa"]),
        ("**", ["a", "a/b"], []),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]),
        ("**/*.py", ["x.py", "a/b/x.py"], ["x.pyc"]),
        ("**/a/**/b", ["a/b", "q/a/b", "q/a/w/b/z"], ["b", "qa/b"]),
        ("a**b", ["ab", "ax/b", "a/x/b"], ["axb"]),
        ("a/**/*", ["a/b", "a/b/c"], ["a"]),
        (r"\*", ["*"], ["a"]),
        (r"a\?", ["a?"], ["ab"]),
        (r"\**", ["*", "*a"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a+(b)|{c}$^", ["a+(b)|{c}$^"], ["a"]),
        ("ü*", ["üb"], ["ub"]),
    ],
)
def test_pattern(pattern: str, hidden: list[str], shown: list[str]) -> None:
    matcher = IgnoreMatcher([pattern])
    assert [path for path in hidden if not matcher.ignored(path)] == []
    assert [path for path in shown if matcher.ignored(path)] == []


def test_the_last_match_decides() -> None:
    matcher = IgnoreMatcher(["*.md", "!README*.md", "README-secret.md"])
    assert [matcher.ignored(name) for name in ("a.md", "README.md", "README-secret.md")] == [True, False, True]
    assert [matcher.rule_for(name) for name in ("a.md", "README.md", "README-secret.md", "x")] == [0, 1, 2, None]


def test_a_child_of_a_hidden_directory_can_be_shown() -> None:
    matcher = IgnoreMatcher(["a", "!a/b/keep", "c", "!**/*.txt", "d/e"])
    assert matcher.ignored("a/b")
    assert not matcher.ignored("a/b/keep")
    assert not matcher.ignored("a/b/keep/all/of/it")
    assert not matcher.ignored("c/x.txt")
    assert matcher.ignored("d/e/x.txt")
    assert matcher.may_descend("a")
    assert matcher.may_descend("a/b")
    assert matcher.may_descend("c/deep")  # because of **
    assert not matcher.may_descend("d/e")  # hidden after every `!`


def test_a_directory_that_no_later_pattern_reaches_is_not_entered() -> None:
    matcher = IgnoreMatcher(["!a/keep", "a", "b", "!b/*/keep", "!b", "c", "!c/x/[ab]/y"])
    assert not matcher.may_descend("a")
    assert matcher.may_descend("b")
    assert matcher.may_descend("c/x/a")
    assert not matcher.may_descend("c/x/c")
    assert not matcher.may_descend("c/x/a/y2")
    assert matcher.may_descend("other")


def test_a_file_is_read_as_it_is_meant() -> None:
    text = "\ufeff# comment\n  # not a comment\n\n  a/./b/../c/  \r\n/root\n! /x/ \n/\n.\n!./y\n"
    assert parse_rules(text) == (
        IgnoreRule("# not a comment", 2),
        IgnoreRule("a/c", 4),
        IgnoreRule("root", 5),
        IgnoreRule("!x", 6),
        IgnoreRule("/", 7),
        IgnoreRule(".", 8),
        IgnoreRule("!y", 9),
    )
    matcher = IgnoreMatcher(parse_ignore(text))
    assert matcher.ignored("root")
    assert not matcher.ignored("anything")  # `/` and `.` hide nothing


@pytest.mark.parametrize("text", ["!", "a\n!  \n", "[", "a[", "[]a]", "x/[a-", "\\", "a\n[-x]"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_ignore(text)
    line = text.count(chr(10), 0, len(text.rstrip())) + 1
    assert str(caught.value.location) == f".dockerignore:{line}"


def test_a_lone_mark_is_named() -> None:
    with pytest.raises(InputError, match='illegal exclusion pattern: "!"'):
        IgnoreMatcher(["!"])


def test_no_pattern_can_be_slow() -> None:
    path = "/".join(["a" * 60] * 60)
    assert not IgnoreMatcher(["**/a*/" * 12 + "z"]).ignored(path)
    assert not IgnoreMatcher(["*a*a*a*a*a*a*a*a*z"]).ignored("a" * 200)
