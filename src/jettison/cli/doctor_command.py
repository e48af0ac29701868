"""`jettison doctor`: what this machine allows, which tier is used, and what would raise it."""

from __future__ import annotations

from jettison.cli.arguments import Parser

DESCRIPTION = """Say what this machine allows: every isolation tier is tried, not guessed.

The exit code is 0 when RUN works here, 6 when it does not.
"""


def run(args: list[str]) -> int:
    """Parse, call, print."""
    parser = Parser("doctor", "[OPTIONS]", DESCRIPTION)
    parser.flag("--json", about="print the report as JSON")
    given = parser.read(args)
    from jettison.app.doctor import examine

    report = examine()
    if given.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        for line in report.lines():
            print(line)
    return 0 if report.tier else 6
