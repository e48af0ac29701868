"""The ignore matcher: against a plain one written anew, and what holds for every set of patterns."""

import re

from hypothesis import given
from hypothesis import strategies as st

from jettison.base.errors import InputError
from jettison.syntax.glob import match
from jettison.syntax.ignore import IgnoreMatcher, parse_ignore

_name = st.sampled_from(["a", "b", "ab", "x.md", ".h", "a*b"])
_paths = st.lists(_name, min_size=1, max_size=4).map("/".join)
_part = st.sampled_from(
    ["a", "b", "ab", "*", "a*", "*b", "?", "??", "*.md", "**", "[ab]", "[^a]", ".h", "a\\*b", "**b"]
)
_pattern = st.builds(
    lambda mark, parts: mark + "/".join(parts), st.sampled_from(["", "", "!"]), st.lists(_part, min_size=1, max_size=4)
)
_patterns = st.lists(_pattern, max_size=6)


def naive(pattern: str) -> re.Pattern[str]:
    """A pattern by the letter of the rules, one character after the other."""
    rest = pattern[2:]
    if pattern.startswith("**") and not re.search(r"[*?\[\\]", rest):
        return re.compile(
            (r"(.*/)?" + re.escape(rest[1:])) if rest.startswith("/") else ".*" + re.escape(rest), re.DOTALL
        )
    out = ""
    position = 0
    while position < len(pattern):
        found = re.compile(r"\*\*/?|\*|\?|\\.|\[\^?[^\]]*\]|.", re.DOTALL).match(pattern, position)
        assert found
        text = found[0]
        position = found.end()
        if text.startswith("**"):
            out += ".*" if position == len(pattern) else "(.*/)?"
        elif text == "*":
            out += "[^/]*"
        elif text == "?":
            out += "[^/]"
        elif text[0] == "[":
            out += "(?!/)" + text
        else:
            out += re.escape(text[-1])
    return re.compile(out, re.DOTALL)


def naive_rule(patterns: list[str], path: str) -> int | None:
    parts = path.split("/")
    stems = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    hits = [
        index
        for index, pattern in enumerate(patterns)
        if any(naive(pattern.removeprefix("!")).fullmatch(stem) for stem in stems)
    ]
    return hits[-1] if hits else None


@given(_patterns, st.lists(_paths, min_size=1, max_size=8))
def test_it_agrees_with_the_plain_one(patterns: list[str], paths: list[str]) -> None:
    matcher = IgnoreMatcher(patterns)
    for path in paths:
        rule = naive_rule(patterns, path)
        assert matcher.rule_for(path) == rule
        assert matcher.ignored(path) == (rule is not None and not patterns[rule].startswith("!"))


@given(_patterns, _paths, _paths)
def test_a_directory_that_need_not_be_entered_hides_all(patterns: list[str], directory: str, below: str) -> None:
    matcher = IgnoreMatcher(patterns)
    if not matcher.may_descend(directory):
        assert matcher.ignored(directory)
        assert matcher.ignored(f"{directory}/{below}")


@given(_patterns, st.lists(_paths, min_size=1, max_size=8), st.randoms())
def test_the_order_of_questions_changes_no_answer(patterns: list[str], paths: list[str], dice: object) -> None:
    asked = IgnoreMatcher(patterns)
    first = [asked.rule_for(path) for path in paths]
    assert [IgnoreMatcher(patterns).rule_for(path) for path in paths] == first
    shuffled = list(paths)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    again = {path: asked.rule_for(path) for path in shuffled}
    assert [again[path] for path in paths] == first


@given(st.text(alphabet="ab*?[]^-\\!/#. \n\r\ufeff", max_size=30), st.lists(_paths, max_size=3))
def test_any_file_gives_patterns_or_an_error(text: str, paths: list[str]) -> None:
    try:
        patterns = parse_ignore(text)
    except InputError:
        return
    matcher = IgnoreMatcher(patterns)
    for path in paths:
        matcher.rule_for(path)
        matcher.may_descend(path)


@given(st.text(alphabet="ab*?[]^-\\/.", max_size=12), st.text(alphabet="ab/.-", max_size=8))
def test_any_wildcard_matches_or_is_an_error(pattern: str, name: str) -> None:
    try:
        matched = match(pattern, name)
    except InputError:
        return
    if matched:
        assert pattern.count("/") == name.count("/")
