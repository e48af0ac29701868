"""The command line's front: choose a command, import that one alone, print errors as people read them.

Each command is a page in a file of its own: parse, call, print. Nothing is imported before it is chosen.
"""

import os
import sys

# typing comes later: from the bundle, and when the collector knows that there is hardly any garbage.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from jettison.cli.bundle import Bundle

COMMANDS = {
    "build": "build an image from a Dockerfile",
    "run": "run a command in an image",
    "images": "list the images of the local store",
    "pull": "pull an image into the local store",
    "history": "list past builds, and say why each step ran or did not",
    "du": "show what the local store takes on disk",
    "prune": "take out of the local store what nobody needs",
    "doctor": "what this machine allows, and which isolation tier is used",
}
INTERRUPTED = 130
_READER_GONE = 141
_GC_THRESHOLDS = (100_000, 20, 50)  # what starts up makes many objects, and hardly any garbage


def main(argv: list[str] | None = None) -> int:
    """Run the command that `argv` names. Returns the exit code (docs/exit-codes.md).

    Without `argv` it is the program itself: the words are sys.argv's, and the process ends with that exit code.
    """
    if argv is not None:
        return _run(argv)
    try:
        return _program()
    except KeyboardInterrupt:  # before there was anybody to take it
        _complain("interrupted")
        os._exit(INTERRUPTED)


def _program() -> "NoReturn":
    import gc

    gc.set_threshold(*_GC_THRESHOLDS)
    bundle = _begin_bundle()
    from jettison.base import program

    program.claim()
    _open_streams()
    _leave(_run(sys.argv[1:]), bundle)


def _begin_bundle() -> "Bundle | None":
    """Modules come from one file from here on. Not with `python -m`: its sys.path has the working directory."""
    if __name__ == "__main__":
        return None
    from jettison.cli import bundle

    return bundle.begin()


def _open_streams() -> None:
    """Standard streams that the caller closed become /dev/null: else a file of ours would take their numbers."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, number)
            os.set_inheritable(number, True)
            if null != number:
                os.close(null)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as we live


def _leave(code: int, bundle: "Bundle | None") -> "NoReturn":
    """End the process at once: all that was begun has ended, and taking the interpreter apart costs 10 ms."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # whoever read it has gone
        code = code or _READER_GONE
    if bundle is not None and bundle.lacks_some():
        from jettison.cli.bundling import complete

        complete(bundle)
    os._exit(code)


def _run(args: list[str]) -> int:
    from jettison.base.errors import JettisonError

    try:
        code = _dispatch(args)
        sys.stdout.flush()  # here, so that what cannot be written is told like any other refusal
    except JettisonError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more to say, and no traceback at exit when stdout is flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _READER_GONE
    except OSError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        return _fault(error)
    return code


def _dispatch(args: list[str]) -> int:
    command, rest = (args[0], args[1:]) if args else ("--help", [])
    if command in ("-h", "--help", "help"):
        return _help(rest)
    if command in ("-v", "--version", "version"):
        return _version()
    if command == "buildx" and rest[:1] == ["build"]:  # a habit of the fingers
        command, rest = "build", rest[1:]
    if command not in COMMANDS:
        raise _unknown(command)
    try:
        return _page(command)(rest)
    except SystemExit as ended:  # of --help, which has been shown; the bundle is yet to be written
        return int(ended.code or 0)


def _page(command: str) -> "Callable[[list[str]], int]":
    """The `run(args) -> exit code` of a command's page."""
    from importlib import import_module

    run: Callable[[list[str]], int] = import_module(f"jettison.cli.{command}_command").run
    return run


def _help(rest: list[str]) -> int:
    if rest and rest[0] in COMMANDS:
        return _page(rest[0])(["--help"])
    if rest and not rest[0].startswith("-"):
        raise _unknown(rest[0])
    width = max(len(name) for name in COMMANDS)
    print("jettison: multi-stage container builds with no daemon and no root\n")
    print("usage: jettison COMMAND [OPTIONS]\n\ncommands:")
    for name, summary in COMMANDS.items():
        print(f"  {name:<{width}}  {summary}")
    print("\n`jettison COMMAND --help` shows a command's options. A first build:\n\n  jettison build -t app .\n")
    return 0


def _version() -> int:
    from jettison import __version__

    print(f"jettison {__version__}")
    return 0


def _unknown(command: str) -> Exception:
    from jettison.base.errors import UsageError
    from jettison.syntax.suggest import closest

    near = closest(command, COMMANDS)
    hint = f"did you mean `{near}`?" if near else "`jettison --help` lists the commands"
    return UsageError(f"unknown command: {command}", hint=hint)


def _refused(error: OSError) -> int:
    """What the machine refused outside of a build: a full disk, a file that may not be written."""
    from jettison.base.errors import refused

    said = refused(str(error.filename or "writing failed"), error)
    _complain(str(said))
    return said.exit_code


def _complain(text: str) -> None:
    try:
        print(f"jettison: {_printable(text)}", file=sys.stderr, flush=True)
    except OSError:
        return  # nobody can be told: the exit code says it


def _printable(text: str) -> str:
    """`text` without what would speak to the terminal: a Dockerfile may come from anywhere."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    byte = 0xDC80 <= ord(char) <= 0xDCFF  # one that was no UTF-8
    return f"\\x{ord(char) - 0xDC00:02x}" if byte else ascii(char)[1:-1]


def _fault(error: Exception) -> int:
    """A fault of ours: a short word for people, or the traceback with JETTISON_DEBUG."""
    import traceback

    if os.environ.get("JETTISON_DEBUG"):
        traceback.print_exc()
        return 70
    summary = "".join(traceback.format_exception_only(error)).strip()
    _complain(
        f"internal error: {summary}\nhint: this is a fault of jettison; JETTISON_DEBUG=1 shows where. Please report it."
    )
    return 70


if __name__ == "__main__":
    sys.exit(main())
