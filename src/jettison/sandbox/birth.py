"""How a keeper comes into the world: a copy of this process where it is ours alone, else a fresh interpreter.

The copy has every module already, which spares most of the start. It is made only of the command line's own process
(`base.program`), while that has a single thread; what it must not keep it lets go of first.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from jettison.base import errors, program

if TYPE_CHECKING:
    from jettison.sandbox.sockets import Socket

_CONTROL = 3
# Held back until the keeper ignores them: ^C is the driver's to answer.
_HELD = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_SETTABLE = frozenset(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_PYTHONS = frozenset({signal.SIGPIPE, signal.SIGXFSZ})  # Python ignores them: a step gets them back
# Nothing that is imported is garbage: looking for some would take a tenth of the time.
_BOOT = (
    "import gc, sys; gc.disable(); sys.path += sys.argv[5:]; "
    "from jettison.sandbox.keeper import main; main(*sys.argv[1:5])"
)


def begin(store_root: str, isolation: str | None) -> tuple[int, Socket]:
    """Start a keeper; its pid, and the socket where it hears. See `client.Keeper.start`, which is what to use; this is
    for those who have no time to import what speaks with it.
    """
    from jettison.sandbox.sockets import SOCK_SEQPACKET, pair

    ours, theirs = pair(SOCK_SEQPACKET)
    words = (str(_CONTROL), str(os.getpid()), os.path.realpath(store_root), isolation or "")
    try:
        with theirs:
            control = theirs.fileno()
            return (_copy(control, words) if _may_copy() else _spawn(control, words)), ours
    except OSError as error:
        ours.close()
        raise errors.HostError(f"the keeper process cannot be started: {error.strerror}") from error


def _may_copy() -> bool:
    """Whether a copy of this process is a sound keeper: names of files are UTF-8 in both, and no thread is lost."""
    if not program.is_ours() or sys.getfilesystemencoding() != "utf-8":
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _copy(control: int, words: tuple[str, ...]) -> int:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        pid = os.fork()
        if pid == 0:
            _live(control, words)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _live(control: int, words: tuple[str, ...]) -> NoReturn:
    """In the copy: be as a fresh one is, then a keeper. Never returns to what the driver was doing."""
    try:
        import gc

        gc.disable()
        gc.freeze()  # the driver's values are not ours to take apart: its index, its locks
        signal.set_wakeup_fd(-1)
        for number in _SETTABLE - _PYTHONS:
            if signal.getsignal(number) != signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        os.dup2(control, _CONTROL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        from jettison.sandbox.keeper import main

        main(*words)
    except BaseException:  # noqa: BLE001 - told as a fresh interpreter tells it
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _spawn(control: int, words: tuple[str, ...]) -> int:
    """A fresh interpreter, without site and environment, with only the directories it needs."""
    flags = ["-I", "-S", "-X", "utf8", *(["-B"] if sys.dont_write_bytecode else [])]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *flags, "-c", _BOOT, *words, *_import_paths()],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, control, _CONTROL),
        ],
        setsigmask=_HELD,
        setsigdef=_SETTABLE,
    )


def _import_paths() -> list[str]:
    """The directories that jettison and what it stands on were found in, in the order of sys.path."""
    wanted = ["jettison", "msgspec", "isal", *([] if sys.version_info >= (3, 14) else ["backports/zstd"])]
    found: dict[str, None] = {}
    for name in wanted:
        for path in sys.path:
            if path and os.path.isdir(os.path.join(path, name)):
                found[os.path.abspath(path)] = None
                break
    return list(found)
