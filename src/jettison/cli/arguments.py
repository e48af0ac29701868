"""How every command reads its arguments: argparse with errors for people, and Go's spelling of booleans.

One parser is built, for the chosen command: all of them would cost start-up time (decision 0009).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

from jettison.base.errors import UsageError

NAMES_COLUMNS = 30
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class _Formatter(argparse.HelpFormatter):
    """Has a width, so that argparse does not import shutil to find one for every flag that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


def terminal_width() -> int:
    """Columns of the terminal that standard output is, 80 for anything else."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns) or 80
    except (OSError, ValueError):
        return 80


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError, suggests the flag that was meant, and knows `--flag=true|false`."""

    def __init__(self, command: str, usage: str, description: str) -> None:
        super().__init__(
            prog=f"jettison {command}",
            usage=f"jettison {command} {usage}",
            description=description,
            formatter_class=_Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self._booleans: set[str] = set()
        self._absent: dict[str, str] = {}
        self.add_argument("-h", "--help", action="help", help="show this text")

    def flag(self, *names: str, help: str) -> None:  # noqa: A002 - argparse's own word
        """Add a boolean flag: off unless given; `--name=false` turns it off again."""
        self._booleans.update(names)
        self.add_argument(*names, action="store_true", help=help)

    def repeated(self, *names: str, metavar: str, help: str) -> None:  # noqa: A002 - argparse's own word
        """Add a flag that may be given many times: its values are a list."""
        self.add_argument(*names, metavar=metavar, action="append", default=[], help=help)

    def absent(self, instead: dict[str, str]) -> None:
        """Flags that docker's command has and this one has not, each with what to do instead."""
        self._absent.update(instead)

    def read(self, args: list[str]) -> argparse.Namespace:
        """The arguments as values. Raises UsageError."""
        known, unknown = self.parse_known_args(self._plain(args))
        for word in unknown:
            if word.startswith("-") and word != "-":
                raise self._unknown_flag(word)
        if unknown:
            raise UsageError(
                f"one argument too many: {unknown[0]}", hint=f"`{self.prog} --help` shows how it is called"
            )
        return known

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found as a UsageError."""
        _, required, names = message.partition("are required: ")
        if required:
            usage = (self.usage or "").replace("%%", "%")
            raise UsageError(f"{names.partition(',')[0]} is missing", hint=f"usage: {usage}")
        message = message.removeprefix("argument ").replace(": expected one argument", " needs a value")
        raise UsageError(message, hint=f"`{self.prog} --help` shows every option")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse, in words that are the same in every version of it."""
        if action.choices is not None and value not in action.choices:
            name = action.option_strings[-1] if action.option_strings else action.metavar
            raise UsageError(f"{name} {value} is not one of: {', '.join(map(str, action.choices))}")

    def format_help(self) -> str:
        """The help text, the same with every version of argparse."""
        positional = [action for action in self._actions if not action.option_strings]
        options = [action for action in self._actions if action.option_strings]
        parts = [f"usage: {self.usage}", (self.description or "").strip()]
        parts += [_table("arguments:", positional)] if positional else []
        return "\n\n".join([*parts, _table("options:", options)]) + "\n"

    def _plain(self, args: list[str]) -> list[str]:
        """`args` with `--flag=true` as `--flag`, and without what was turned off by `--flag=false`."""
        plain: list[str] = []
        for position, word in enumerate(args):
            name, equals, value = word.partition("=")
            if word == "--":
                return plain + args[position:]
            if not equals or name not in self._booleans:
                plain.append(word)
            elif value in _TRUE:
                plain.append(name)
            elif value in _FALSE:
                plain = [other for other in plain if other != name]
            else:
                raise UsageError(f"{name} is true or false, not {value!r}")
        return plain

    def _unknown_flag(self, word: str) -> UsageError:
        from jettison.syntax.suggest import closest

        name = word.partition("=")[0]
        hint = self._absent.get(name)
        if hint is None and name.startswith("--"):  # between two single letters nothing is near
            near = closest(name, [text for action in self._actions for text in action.option_strings])
            hint = f"did you mean {near}?" if near else None
        return UsageError(f"unknown flag: {name}", hint=hint or f"`{self.prog} --help` shows every option")


def _table(heading: str, actions: list[argparse.Action]) -> str:
    """What there is to write on the left, what it means on the right."""
    import textwrap

    lines = [heading]
    for action in actions:
        takes_value = not action.option_strings or action.nargs != 0
        names = f"  {', '.join(action.option_strings)} {action.metavar if takes_value else ''}".rstrip()
        names = names if action.option_strings else f"  {action.metavar}"
        first, *more = textwrap.wrap(action.help or "", max(terminal_width() - NAMES_COLUMNS, 30)) or [""]
        if len(names) > NAMES_COLUMNS - 2:
            lines.append(names)
            names = ""
        lines.append(f"{names:<{NAMES_COLUMNS}}{first}")
        lines += [" " * NAMES_COLUMNS + line for line in more]
    return "\n".join(lines)


def fields(text: str, flag: str) -> dict[str, str]:
    """`a=b,c=d` as a dict; a field may be quoted as in CSV (`"dest=a,b"`). Raises UsageError naming `flag`."""
    found: dict[str, str] = {}
    for field in _split_csv(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise UsageError(f"{flag} {text}: {field!r} is not key=value")
        found[key.strip().lower()] = value
    return found


def boolean(text: str, flag: str) -> bool:
    """A Go boolean. Raises UsageError naming `flag`."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise UsageError(f"{flag} is true or false, not {text!r}")


def _split_csv(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    import csv

    return next(csv.reader([text]))


def say(text: str) -> None:
    """One line for people, on standard error: standard output carries results alone."""
    print(text, file=sys.stderr, flush=True)


def human_bytes(count: float) -> str:
    """A number of bytes as people read it: 1.2 MB (powers of 1,000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
