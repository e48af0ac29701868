"""Arguments as docker's users write them, and errors for people."""

import pytest

from jettison.base.errors import UsageError
from jettison.cli.arguments import Parser, human_bytes


@pytest.fixture
def parser():
    made = Parser("build", "[OPTIONS] PATH", "words")
    made.flag("--no-cache", help="h")
    made.flag("-q", "--quiet", help="h")
    made.absent({"--builder": "there are none"})
    made.add_argument("-t", "--tag", action="append", default=[])
    made.add_argument("context", nargs="?", default=".")
    return made


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--no-cache", "."], True),
        (["--no-cache=true", "."], True),
        (["--no-cache=1", "."], True),
        (["--no-cache=false", "."], False),
        (["--no-cache", "--no-cache=false"], False),
    ],
)
def test_booleans_as_go_writes_them(parser, args, expected):
    assert parser.read(args).no_cache is expected


def test_options_may_follow_the_context(parser):
    given = parser.read(["dir", "-t", "a", "--tag=b", "-q"])
    assert (given.context, given.tag, given.quiet) == ("dir", ["a", "b"], True)


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        (["--no-cach"], "unknown flag: --no-cach", "did you mean --no-cache?"),
        (["--zzz=1", "."], "unknown flag: --zzz", "--help` shows every option"),
        (["-D"], "unknown flag: -D", "--help` shows every option"),
        (["--builder", "x", "."], "unknown flag: --builder", "there are none"),
        (["a", "b"], "one argument too many: b", "--help"),
        (["--no-cache=perhaps"], "true or false, not 'perhaps'", None),
        (["-t"], "--tag needs a value", "--help"),
    ],
)
def test_what_is_said_of_wrong_ones(parser, args, said, hint):
    with pytest.raises(UsageError) as caught:
        parser.read(args)
    assert said in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (2e12, "2.0 TB")]
)
def test_bytes_for_people(count, text):
    assert human_bytes(count) == text
