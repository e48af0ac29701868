"""Arguments as docker's users write them, and errors for people."""

import pytest

from jettison.base.errors import UsageError
from jettison.cli.arguments import Parser, human_bytes


@pytest.fixture
def parser():
    made = Parser("build", "[OPTIONS] PATH", "words")
    made.flag("--no-cache", about="h")
    made.flag("-q", "--quiet", about="h")
    made.flag("-i", about="h")
    made.option("-f", "--file", metavar="FILE", about="h")
    made.option("--progress", metavar="MODE", about="h", default="auto", choices=("plain", "tty"))
    made.absent({"--builder": "there are none"})
    made.repeated("-t", "--tag", metavar="NAME", about="h")
    made.word("context", "PATH", "h", required=False, default=".")
    return made


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--no-cache", "."], True),
        (["--no-cache=true", "."], True),
        (["--no-cache=1", "."], True),
        (["--no-cache=false", "."], False),
        (["--no-cache", "--no-cache=false"], False),
        (["--no-cache=false", "--no-cache"], True),
    ],
)
def test_booleans_as_go_writes_them(parser, args, expected):
    assert parser.read(args).no_cache is expected


def test_options_may_follow_the_context(parser):
    given = parser.read(["dir", "-t", "a", "--tag=b", "-q"])
    assert (given.context, given.tag, given.quiet) == ("dir", ["a", "b"], True)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], {}),
        (["-f", "a"], {"file": "a"}),
        (["-fa"], {"file": "a"}),
        (["-f=a"], {"file": "a"}),
        (["-fa=b"], {"file": "a=b"}),
        (["--file=a=b", "--file", "c"], {"file": "c"}),
        (["--file="], {"file": ""}),
        (["-f", ""], {"file": ""}),
        (["-f", "-"], {"file": "-"}),
        (["-f", "-1"], {"file": "-1"}),
        (["-f", "-a b"], {"file": "-a b"}),
        (["--file=--no-cache"], {"file": "--no-cache"}),
        (["-qi"], {"quiet": True, "i": True}),
        (["-qifa"], {"quiet": True, "i": True, "file": "a"}),
        (["-qf", "a"], {"quiet": True, "file": "a"}),
        (["-q=false"], {}),
        (["-ta", "-t", "b", "--tag=c"], {"tag": ["a", "b", "c"]}),
        (["--progress", "tty"], {"progress": "tty"}),
        (["-"], {"context": "-"}),
        (["--", "-q"], {"context": "-q"}),
        (["a", "--"], {"context": "a"}),
    ],
)
def test_words_become_values(parser, args, expected):
    usual = {"no_cache": False, "quiet": False, "i": False, "file": None, "progress": "auto", "tag": [], "context": "."}
    assert vars(parser.read(args)) == {"help": False, **usual, **expected}
    assert vars(parser.read([])) == {"help": False, **usual}  # nothing of what was read stays


@pytest.fixture
def runner():
    made = Parser("run", "IMAGE [COMMAND]", "words")
    made.flag("--rm", about="h")
    made.repeated("-e", "--env", metavar="NAME", about="h")
    made.word("image", "IMAGE", "h", required=True)
    made.rest("args", "COMMAND", "h")
    return made


@pytest.mark.parametrize(
    ("args", "env", "rest"),
    [
        (["image"], [], []),
        (["-e", "A", "image", "-e", "B", "--rm=false"], ["A"], ["-e", "B", "--rm=false"]),
        (["image", "--", "ls", "--"], [], ["ls", "--"]),
        (["--", "image", "--rm"], [], ["--rm"]),
        (["image", ""], [], [""]),
    ],
)
def test_what_follows_the_last_word_is_left_alone(runner, args, env, rest):
    given = runner.read(args)
    assert (given.image, given.env, given.args, given.rm) == ("image", env, rest, False)


def test_a_word_that_is_missing(runner):
    with pytest.raises(UsageError, match="IMAGE is missing") as caught:
        runner.read(["--rm"])
    assert caught.value.hint == "usage: jettison run IMAGE [COMMAND]"


def test_help_is_shown_when_it_is_come_to(runner, capsys):
    with pytest.raises(SystemExit) as ended:
        runner.read(["--zzz", "-h", "--rm=perhaps"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: jettison run IMAGE [COMMAND]\n\nwords\n\narguments:\n")


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        (["--no-cach"], "unknown flag: --no-cach", "did you mean --no-cache?"),
        (["--zzz=1", "."], "unknown flag: --zzz", "--help` shows every option"),
        (["-D"], "unknown flag: -D", "--help` shows every option"),
        (["--builder", "x", "."], "unknown flag: --builder", "there are none"),
        (["a", "b"], "one argument too many: b", "--help"),
        (["--no-cache=perhaps"], "true or false, not 'perhaps'", None),
        (["-t"], "-t/--tag needs a value", "--help"),
        (["-t", "--no-cach", "."], "-t/--tag needs a value", "--help"),
        (["-t", "--"], "-t/--tag needs a value", "--help"),
        (["-qz"], "unknown flag: -z", "--help"),
        (["a", "b", "--zzz"], "unknown flag: --zzz", "--help"),
        (["--", "a", "--zzz"], "one argument too many: --zzz", "--help"),
        (["--progress=loud"], "--progress loud is not one of: plain, tty", None),
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
