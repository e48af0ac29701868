"""`jettison run`: a process in an image's tree, in the sandbox of a step, with the caller's standard streams."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from jettison.app.emit import Emitter
from jettison.app.images import Base, Images
from jettison.app.library import find_image
from jettison.app.materials import Materials
from jettison.app.session import Session
from jettison.base.errors import InternalError, UsageError
from jettison.sandbox import spec
from jettison.solve.ports import Cancel


class RunImage(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. None is the image's own; `entrypoint` () is none at all. `args` replace CMD when there are any."""

    image: str
    args: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    workdir: str | None = None
    user: str | None = None
    network: str = "host"
    isolation: str | None = None
    store: str | None = None


def run_image(
    asked: RunImage,
    *,
    cancel: Cancel | None = None,
    signals: int | None = None,
    on_start: Callable[[], None] | None = None,
) -> int:
    """Run it with descriptors 0, 1 and 2 of this process; the exit code, 128 + N for signal N. Nothing is kept.

    `cancel` ends it as it ends a build. Every byte that the descriptor `signals` (the end of a pipe) gives is the
    number of a signal for the program. `on_start` is called when all is fetched, just before the program starts.

    Raises UsageError where there is no command, InputError for an unknown image or user, HostError.
    """
    with Session.open(asked.store, isolation=asked.isolation, cancel=cancel) as session:
        images = Images(session)
        base = find_image(session, images, asked.image)
        args = command(asked, base)
        directories = Materials(session, Emitter(None)).directories(base.layers)
        with session.store.scratch() as scratch:
            request = _request(asked, base, args, directories, scratch)
            fds = (0, 1, 2) if signals is None else (0, 1, 2, signals)
            keeper = session.keeper()
            if on_start is not None:
                on_start()
            reply = keeper.ask(request, _to_stderr, fds=fds, cancel=cancel)
    if not isinstance(reply, spec.Ran):
        raise InternalError(f"the keeper answered {type(reply).__name__}")
    return reply.exit_code


def _to_stderr(frame: spec.AnyFrame) -> None:
    """What the sandbox has to say: the program's own output does not come this way."""
    if isinstance(frame, spec.Output):
        os.write(2, b"jettison: " + frame.data)
    elif isinstance(frame, spec.Note):
        os.write(2, b"jettison: " + f"{frame.text}\n".encode("utf-8", "surrogateescape"))


def command(asked: RunImage, base: Base) -> tuple[str, ...]:
    """Entrypoint and arguments as a runtime puts them together: another entrypoint drops the image's CMD."""
    config = base.config.config
    entrypoint = config.entrypoint or () if asked.entrypoint is None else asked.entrypoint
    default = config.cmd or () if asked.entrypoint is None else ()
    args = (*entrypoint, *(asked.args or default))
    if not args:
        raise UsageError(f"image {asked.image} has no command", hint="name one: jettison run IMAGE COMMAND")
    return args


def _request(
    asked: RunImage, base: Base, args: tuple[str, ...], directories: tuple[str, ...], scratch: str
) -> spec.RunRequest:
    config = base.config.config
    env = dict(entry.partition("=")[::2] for entry in config.env) | asked.env
    if os.isatty(0):
        env.setdefault("TERM", os.environ.get("TERM", "xterm"))
    return spec.RunRequest(
        tree=spec.Tree(directories),
        out="",
        scratch=scratch,
        args=args,
        env=tuple(env.items()),
        cwd=asked.workdir or config.working_dir or "/",
        user=config.user if asked.user is None else asked.user,
        network=asked.network,
        hostname=os.uname().nodename,
        interactive=True,
    )
