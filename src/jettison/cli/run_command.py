"""`jettison run`: a command in an image, on the host's network, with our own standard streams. Nothing is kept."""

from __future__ import annotations

import os
import signal
import threading

from jettison.base.errors import UsageError
from jettison.cli.arguments import Parser
from jettison.cli.build_flags import pair

RELAYED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
DESCRIPTION = """Run a command in an image, as its USER, in a sandbox like a build's.

The network is the host's: a server in the image listens on the host's own ports. What the command writes in the
image's tree is thrown away when it ends. The exit code is the command's.
"""


def run(args: list[str]) -> int:
    """Parse and call; the process prints for itself."""
    given = _parser().read(args)
    _check_ports(given.publish)
    from jettison.app.runner import RunImage, run_image

    relay = Relay()
    entrypoint = None if given.entrypoint is None else ((given.entrypoint,) if given.entrypoint else ())
    asked = RunImage(
        image=given.image,
        args=tuple(given.args),
        entrypoint=entrypoint,
        env=dict(_env(text) for text in given.env),
        workdir=given.workdir,
        user=given.user,
        network=given.network,
        isolation=given.isolation,
    )
    return run_image(asked, cancel=relay.cancel, signals=relay.pipe, on_start=relay.start)


class Relay:
    """Passes the signals that are sent to this process on to the program; before it starts they cancel.

    What the terminal sends (^C) reaches the program by itself, which may mean to go on: it is then not ours to answer.
    """

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.pipe, self._writing = os.pipe()
        self._started = False
        signal.pthread_sigmask(signal.SIG_BLOCK, RELAYED)  # of every thread to come, too
        threading.Thread(target=self._wait, daemon=True).start()

    def start(self) -> None:
        """From now on signals are the program's."""
        self._started = True

    def _wait(self) -> None:
        while True:
            heard = signal.sigwaitinfo(RELAYED)
            if not self._started:
                self.cancel.set()
            elif heard.si_code <= 0 or heard.si_signo == signal.SIGHUP:  # of the kernel's this one comes to us alone
                os.write(self._writing, bytes([heard.si_signo]))


def _env(text: str) -> tuple[str, str]:
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
    add = parser.option
    parser.repeated("-e", "--env", metavar="NAME[=VALUE]", about="set an environment variable")
    add("-w", "--workdir", metavar="DIR", about="the directory to start in (default: the image's)")
    add("-u", "--user", metavar="USER", about="the user to run as (default: the image's)")
    add("--entrypoint", metavar="PROGRAM", about="instead of the image's entrypoint; empty: none")
    add(
        "--network", metavar="MODE", default="host", choices=("host", "default", "none"), about="host (default) or none"
    )
    parser.repeated("-p", "--publish", metavar="PORT:PORT", about="accepted where both numbers agree")
    add("--isolation", metavar="TIER", about="root or rootless (default: what works here)")
    parser.flag("--rm", about="accepted: nothing is ever kept")
    parser.flag("-i", "--interactive", about="accepted: standard input is always passed on")
    parser.flag("-t", "--tty", about="accepted: a terminal is always passed on")
    parser.word("image", "IMAGE", "a name or an id of the local store, or a reference to pull", required=True)
    parser.rest("args", "COMMAND", "instead of the image's CMD")
    return parser
