"""`jettison history`: past builds, and why each step of one ran or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.cli.arguments import Parser

if TYPE_CHECKING:
    from jettison.record.model import BuildRecord

DESCRIPTION = """List past builds, newest first, or show one of them, step by step.

BUILD is a build's id or the beginning of one, or the name, tag or digest of an image: its newest build is meant.
With --why each step has a line that says what changed, or which of its two keys hit; without BUILD: the last build's.
"""
FORMATS = ("text", "json")


def run(args: list[str]) -> int:
    """Parse, call, print."""
    parser = Parser("history", "[OPTIONS] [BUILD]", DESCRIPTION)
    parser.word("build", "BUILD", "which build to show", required=False)
    parser.flag("--why", about="say of every step what changed, or which key hit")
    parser.option("--format", metavar="FORMAT", default="text", choices=FORMATS, about="text or json")
    given = parser.read(args)
    from jettison.app.history import past_build, past_builds

    if given.build is None and not given.why:
        print(_list(past_builds(), given.format), end="")
    else:
        print(_one(past_build(given.build), given.format, why=given.why), end="")
    return 0


def _list(builds: tuple[BuildRecord, ...], form: str) -> str:
    """The list; as JSON an object a line, without the steps."""
    from msgspec.structs import replace

    from jettison.report.history import history_text

    return "".join(_json(replace(build, steps=())) for build in builds) if form == "json" else history_text(builds)


def _one(build: BuildRecord, form: str, *, why: bool) -> str:
    """One build; as JSON the whole record, with every reason in it."""
    from jettison.report.history import build_text

    return _json(build) if form == "json" else build_text(build, why=why)


def _json(build: BuildRecord) -> str:
    import msgspec

    return msgspec.json.encode(build).decode() + "\n"
