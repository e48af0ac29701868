"""`jettison run`: a command in an image, on the host's network, with our own standard streams. Nothing is kept."""

from __future__ import annotations

from argparse import REMAINDER

from jettison.base.errors import UsageError
from jettison.cli.arguments import Parser
from jettison.cli.build_flags import pair

DESCRIPTION = """Run a command in an image, as its USER, in a sandbox like a build's.

The network is the host's: a server in the image listens on the host's own ports. What the command writes in the
image's tree is thrown away when it ends. The exit code is the command's.
"""


def run(args: list[str]) -> int:
    """Parse and call; the process prints for itself."""
    given = _parser().read(args)
    _check_ports(given.publish)
    from jettison.app.runner import RunImage, run_image

    entrypoint = None if given.entrypoint is None else ((given.entrypoint,) if given.entrypoint else ())
    return run_image(
        RunImage(
            image=given.image,
            args=tuple(given.args),
            entrypoint=entrypoint,
            env=dict(_env(text) for text in given.env),
            workdir=given.workdir,
            user=given.user,
            network=given.network,
            isolation=given.isolation,
        )
    )


def _env(text: str) -> tuple[str, str]:
    import os

    return pair(text, "--env") if "=" in text else (text, os.environ.get(text, ""))


def _check_ports(published: list[str]) -> None:
    for text in published:
        ports = {part.partition("/")[0] for part in text.split(":")[-2:]}
        if len(ports) != 1:
            raise UsageError(
                f"--publish {text}: the network is the host's, so a port cannot have another number outside",
                hint="tell the server its port by --env, or leave --publish out",
            )


def _parser() -> Parser:
    parser = Parser("run", "[OPTIONS] IMAGE [COMMAND [ARG...]]", DESCRIPTION)
    add = parser.add_argument
    add("-e", "--env", metavar="NAME[=VALUE]", action="append", default=[], help="set an environment variable")
    add("-w", "--workdir", metavar="DIR", help="the directory to start in (default: the image's)")
    add("-u", "--user", metavar="USER", help="the user to run as (default: the image's)")
    add("--entrypoint", metavar="PROGRAM", help="instead of the image's entrypoint; empty: none")
    add("--network", metavar="MODE", default="host", choices=("host", "default", "none"), help="host (default) or none")
    add("-p", "--publish", metavar="PORT:PORT", action="append", default=[], help="accepted where both numbers agree")
    add("--isolation", metavar="TIER", help="root or rootless (default: what works here)")
    parser.flag("--rm", help="accepted: nothing is ever kept")
    parser.flag("-i", "--interactive", help="accepted: standard input is always passed on")
    parser.flag("-t", "--tty", help="accepted: a terminal is always passed on")
    add("image", metavar="IMAGE", help="a name or an id of the local store, or a reference to pull")
    add("args", metavar="COMMAND", nargs=REMAINDER, help="instead of the image's CMD")
    return parser
