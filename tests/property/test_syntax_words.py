"""Expansion: what holds for every text, and where it must agree with `sh`."""

import os
import subprocess
from collections.abc import Callable

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.syntax.words import ExpansionError, expand, expand_heredoc, expand_list

VALUES = {"set": "a/b.c/b.cc", "empty": "", "star": "x*y?z", "word": "hello"}
NAMES = [*VALUES, "unset"]

# Where the two languages mean the same: no tilde, backtick, bracket or `$(`, and no quote inside `${}` inside quotes.
_plain = st.text(alphabet="abcxyz/.,_-%#:+=0", min_size=1, max_size=4)
_glob = st.text(alphabet="abc*?/.", max_size=4)
_name = st.sampled_from(NAMES)


def _braced(operand: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    chosen = st.builds("${{{}{}{}}}".format, _name, st.sampled_from(["-", ":-", "+", ":+"]), operand)
    trimmed = st.builds("${{{}{}{}}}".format, _name, st.sampled_from(["#", "##", "%", "%%"]), _glob)
    return st.one_of(chosen, trimmed)


_variable = st.one_of(
    _name.map("${{{}}}".format), _braced(st.one_of(_plain, _name.map("${{{}}}".format), _braced(_plain)))
)
_piece = st.one_of(
    _plain,
    _variable,
    st.builds("'{}'".format, st.text(alphabet='ab "$\\{}', max_size=4)),
    st.builds('"{}"'.format, st.one_of(_plain, _variable, st.sampled_from(["a b", "\\$set", '\\"', "\\\\", "'"]))),
    st.sampled_from(["\\$", "\\\\", "\\'", '\\"', "\\a", "$", "$."]).map(lambda text: text + "."),
)
_words = st.lists(_piece, min_size=1, max_size=5).map("".join)


@given(st.lists(_words, min_size=1, max_size=30))
@settings(max_examples=examples(50))
def test_it_agrees_with_sh(words: list[str]) -> None:
    script = "".join(f"r={word}\nprintf '%s\\0' \"$r\"\n" for word in words)
    environment = {**VALUES, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert dict(zip(words, ran.stdout.split("\0"), strict=False)) == {word: expand(word, VALUES.get) for word in words}


def outcome(function: Callable[..., object], text: str, values: dict[str, str], escape: str = "\\") -> str:
    try:
        function(text, values.get, escape)
    except ExpansionError:
        return "error"
    return "text"


@given(st.sampled_from(["?", ":?"]), _name)
def test_it_refuses_what_sh_refuses(modifier: str, name: str) -> None:
    text = f"${{{name}{modifier}message}}"
    ran = subprocess.run(["/bin/sh", "-c", f": {text}"], env=VALUES, capture_output=True, text=True, check=False)
    assert (outcome(expand, text, VALUES) == "error") == (ran.returncode != 0)


_any = st.text(alphabet="ab$$${{}}}:-+?#%/*\\\"'` \n0@", max_size=30)


@given(_any, st.sampled_from("\\`"))
def test_any_text_gives_a_text_or_its_own_error(text: str, escape: str) -> None:
    for function in (expand, expand_list, expand_heredoc):
        assert outcome(function, text, {"a": "b"}, escape) in {"text", "error"}


@given(st.text(alphabet="abc 😀\n/.:=-", max_size=30))
def test_a_text_without_anything_special_is_itself(text: str) -> None:
    assert expand(text, {}.get) == text
    assert expand_list(text, {}.get) == text.split()


@given(st.text(max_size=20))
def test_single_quotes_protect_everything(text: str) -> None:
    text = text.replace("'", "")
    assert expand(f"'{text}'", {}.get) == text


@given(st.text(max_size=20))
def test_a_value_is_never_expanded_again(value: str) -> None:
    assert expand("$x", {"x": value}.get) == value
    assert expand('"${x}"', {"x": value}.get) == value
    assert expand("${u:-$x}", {"x": value}.get) == value
