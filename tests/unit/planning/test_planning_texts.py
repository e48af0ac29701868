"""Small rules with many cases: durations, Go's quoting, git URLs, ports, file names of URLs, names of contexts."""

import pytest

from jettison.base.errors import InputError
from jettison.planning.contexts import context_for, familiar
from jettison.planning.history import go_duration, go_quoted, go_quoted_char
from jettison.planning.needs import LowerOptions
from jettison.planning.remotes import GitSource, git_source, is_http, url_filename
from jettison.planning.signals import is_signal


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1_100, "1.1µs"), (2_000_000, "2ms"), (1_500_000_000, "1.5s"), (60_000_000_000, "1m0s"),
        (90_500_000_000, "1m30.5s"), (3_600_000_000_000, "1h0m0s"), (360_000_000_000_001, "100h0m0.000000001s"),
    ],
)  # fmt: skip
def test_durations(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'), ('a"b\\', r'"a\"b\\"'), ("\t\n\r\x00\x7f", r'"\t\n\r\x00\x7f"'), ("é", '"é"'),
        ("\u200b", r'"\u200b"'), ("\U000e0001", r'"\U000e0001"'), ("\udcff", r'"\xff"'),
    ],
)  # fmt: skip
def test_go_quoting(text: str, quoted: str) -> None:
    assert go_quoted(text) == quoted


@pytest.mark.parametrize(
    ("code", "quoted"),
    [(0, r"'\x00'"), (7, r"'\a'"), (34, "'\"'"), (39, r"'\''"), (65, "'A'"), (92, r"'\\'"), (0xD800, "'\ufffd'")],
)
def test_go_quotes_a_number_as_a_character(code: int, quoted: str) -> None:
    assert go_quoted_char(code) == quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/a.git", GitSource(remote="https://h/a.git")),
        ("http://h/a.git#main", GitSource(remote="http://h/a.git", ref="main")),
        ("https://h/a.git#:sub", GitSource(remote="https://h/a.git", subdir="sub")),
        ("https://h/a.git#a/b:c/d", GitSource(remote="https://h/a.git", ref="a/b", subdir="c/d")),
        ("git@h:a/b.git#r", GitSource(remote="git@h:a/b.git", ref="r")),
        ("git@h:a/b", GitSource(remote="git@h:a/b")),
        ("ssh://git@h:22/a", GitSource(remote="ssh://git@h:22/a")),
        ("git://h/a?branch=b", GitSource(remote="git://h/a", ref="refs/heads/b")),
        ("https://h/a.git?tag=refs/tags/v1", GitSource(remote="https://h/a.git", ref="refs/tags/v1")),
        ("https://h/a.git?ref=v1#v1", GitSource(remote="https://h/a.git", ref="v1")),
        ("https://h/a.git?checksum=ab", GitSource(remote="https://h/a.git", ref="ab", checksum="ab")),
        ("https://h/a.git?keep-git-dir", GitSource(remote="https://h/a.git", keep_git_dir=True)),
        ("https://h/a.git?submodules=0&fetch-by-commit=true", GitSource(remote="https://h/a.git", submodules=False)),
        ("https://h/a.git##ref=r,subdir=s", GitSource(remote="https://h/a.git", ref="r", subdir="s")),
        ("https://h/a.git?x#y/z.git", None), ("https://h/a.zip", None), ("https://h/a.git/b", None), ("a/b.git", None),
        ("./git@h:x", None), ("/git@h:x", None), ("file://h/a.git", None), ("github.com/a/b", None), ("C:file", None),
    ],
)  # fmt: skip
def test_git_sources(text: str, expected: GitSource | None) -> None:
    if expected is None and "?" in text:
        with pytest.raises(InputError):
            git_source(text)
    else:
        assert git_source(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://h/a.git?nope=1", 'unexpected query "nope"'),
        ("https://h/a.git?ref=", 'query "ref" has no value'),
        ("https://h/a.git?ref=a#b", 'ref conflicts: "b" vs "a"'),
        ("https://h/a.git?subdir=a#b:c", 'subdir conflicts: "c" vs "a"'),
        ("https://h/a.git?tag=a&branch=b", "branch conflicts with tag"),
        ("https://h/a.git?submodules=perhaps", 'invalid submodules value: "perhaps"'),
        ("https://h/a.git?mtime=now", 'invalid mtime value: "now"'),
        ("https://h/a.git##x=1", "unexpected key 'x' in 'x=1'"),
    ],
)
def test_git_sources_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("?", r"\?").replace("(", r"\(")):
        git_source(text)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.tgz?x#y", "b.tgz"), ("https://h", "__unnamed__"), ("https://h/", "__unnamed__"),
        ("https://h/a%2fb%20c", "b c"), ("https://h/a/", "a"), ("https://h/a/..", "__unnamed__"),
        ("http://[x/y", "__unnamed__"), ("http://h/%2e%2e", "__unnamed__"), ("http://h/a%00b", "__unnamed__"),
        ("http://h/n%FF", "n\ufffd"),
    ],
)  # fmt: skip
def test_names_of_downloads(url: str, name: str) -> None:
    assert is_http(url)
    assert url_filename(url) == name


@pytest.mark.parametrize("text", ["9", "15", "-3", "999", "SIGTERM", "term", "sigrtmin+1", "RTMAX-14", "SIGRTMAX"])
def test_signals(text: str) -> None:
    assert is_signal(text)


@pytest.mark.parametrize("text", ["0", "", "SIG", "SIGSIGTERM", "RTMIN+16", "RTMAX-0", "1.5", "٣"])
def test_what_is_no_signal(text: str) -> None:
    assert not is_signal(text)


def test_names_of_contexts() -> None:
    assert familiar("docker.io/library/busybox:latest") == familiar("busybox") == "busybox"
    assert familiar("busybox:1.36") == "busybox:1.36"
    options = LowerOptions(
        contexts={"docker.io/library/a": "x", "a::linux/arm64": "y", "Scratch": "z", "b::linux/arm": "w"}
    )
    assert context_for("a:latest", "linux/amd64", options) == "docker.io/library/a"
    assert context_for("a", "linux/arm64/v8", options) == "a::linux/arm64"
    assert context_for("scratch", "linux/amd64", options) is None
    assert context_for("b", "linux/amd64", options) is None
    assert context_for("b", "linux/arm/v7", options) == "b::linux/arm"
