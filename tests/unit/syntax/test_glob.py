"""Wildcards of COPY and ADD: Go's rules, and none of them crosses a `/`."""

import pytest

from jettison.base.errors import InputError
from jettison.syntax.glob import has_wildcard, match


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*", "", True),
        ("*", "a/b", False),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a[^x]b", "a/b", False),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("[\\-x]", "-", True),
        ("[\\]a]", "]", True),
        ("[\\^a]", "^", True),
        ("[a\\]]x", "]x", True),
        ("?", "ü", True),
        ("a?b", "a/b", False),
        ("[!a]", "!", True),
        ("**", "abc", True),
        ("a/*/c", "a/b/c", True),
        ("*.tar.gz", "x.tar.gz", True),
    ],
)
def test_match(pattern: str, name: str, expected: bool) -> None:
    assert match(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["[", "[a", "[]", "[]a]", "[-]", "[a-]", "[x-]b", "[-x]", "a\\", "[^]", "[a-b-c]"])
def test_malformed(pattern: str) -> None:
    with pytest.raises(InputError, match="syntax error in pattern"):
        match(pattern, "x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", False),
        ("a*", True),
        ("a?", True),
        ("[a", True),
        (r"\*", False),
        (r"\\*", True),
        (r"\a\?b", False),
        ("\\", False),
    ],
)
def test_has_wildcard(text: str, expected: bool) -> None:
    assert has_wildcard(text) is expected
