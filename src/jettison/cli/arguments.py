"""How every command reads its arguments, as docker's commands do: Go's flags, and errors for people.

Each command says what it takes, and that is read word by word. argparse did it before: its modules and its parser were
a twentieth of a build with nothing to do (decision 29).
"""

import os
import sys
from types import SimpleNamespace
from typing import Any

from msgspec import Struct

from jettison.base.errors import UsageError

NAMES_COLUMNS = 30
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Given(SimpleNamespace):
    """What was given: a value an option, by its long name with `_` for `-`."""


class Option(Struct, frozen=True):
    """What a command takes: an option by any of its `names`, or the word (without names) that stands at a place.

    `metavar` stands for its value in the help text, and is empty where none follows. `value` is what holds when it is
    not given; a list when it may be given many times.
    """

    key: str
    names: tuple[str, ...]
    metavar: str
    about: str
    value: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False

    @property
    def shown(self) -> str:
        """As errors call it."""
        return "/".join(self.names) or self.metavar


class Parser:
    """What one command takes. Raises UsageError, suggests the flag that was meant, and knows `--flag=true|false`."""

    def __init__(self, command: str, usage: str, description: str) -> None:
        self._program = f"jettison {command}"
        self._usage = f"usage: {self._program} {usage}"
        self._description = description
        self._options: list[Option] = []
        self._named: dict[str, Option] = {}
        self._words: list[Option] = []
        self._rest: Option | None = None
        self._absent: dict[str, str] = {}
        self.flag("-h", "--help", about="show this text")

    def option(
        self,
        *names: str,
        metavar: str,
        about: str,
        default: str | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        """Add an option with a value; the last one counts."""
        self._add(Option(_key(names), names, metavar, about, default, choices))

    def repeated(self, *names: str, metavar: str, about: str) -> None:
        """Add an option that may be given many times: its values are a list."""
        self._add(Option(_key(names), names, metavar, about, []))

    def flag(self, *names: str, about: str) -> None:
        """Add a boolean: off unless given; `--name=false` turns it off again."""
        self._add(Option(_key(names), names, "", about, value=False))

    def word(self, key: str, metavar: str, about: str, *, required: bool, default: str | None = None) -> None:
        """Add a word that is no option. Those that need not be given come last."""
        self._words.append(Option(key, (), metavar, about, default, required=required))

    def rest(self, key: str, metavar: str, about: str) -> None:
        """All that follows the last word is a list of words, options or not. A `--` before it is none of them."""
        self._rest = Option(key, (), metavar, about, [])

    def absent(self, instead: dict[str, str]) -> None:
        """Flags that docker's command has and this one has not, each with what to do instead."""
        self._absent.update(instead)

    def read(self, args: list[str]) -> Given:
        """The arguments as values. Raises UsageError; `--help` shows the help text and ends the program."""
        every = [*self._options, *self._words, *([self._rest] if self._rest else [])]
        given = {option.key: list(option.value) if isinstance(option.value, list) else option.value for option in every}
        words: list[str] = []
        unknown: list[str] = []
        at = 0
        while at < len(args) and not (self._rest and len(words) == len(self._words)):
            word = args[at]
            at += 1
            if word == "--":
                words += args[at:]
                at = len(args)
            elif word.startswith("-") and word != "-":
                at = self._take(word, args, at, given, unknown)
            else:
                words.append(word)
        self._place(words, args[at:], unknown, given)
        return Given(**given)

    def _add(self, option: Option) -> None:
        self._options.append(option)
        self._named.update(dict.fromkeys(option.names, option))

    def _take(self, word: str, args: list[str], at: int, given: dict[str, Any], unknown: list[str]) -> int:
        """Note what `word` says, the last one read before `at`. Returns where to read on."""
        name, equals, value = word.partition("=")
        option = self._named.get(name)
        if option is None and not word.startswith("--") and len(word) > 2:  # -fFILE, -it
            name, value = word[:2], word[2:]
            option = self._named.get(name)
            if option is not None and not option.metavar:
                self._set(option, name, "true", given)
                return self._take(f"-{value}", args, at, given, unknown)
            equals = value
        if option is None:
            unknown.append(word)
        elif not option.metavar:
            self._set(option, name, value if equals else "true", given)
        elif equals:
            self._set(option, name, value, given)
        elif at == len(args) or _looks_like_an_option(args[at]):
            raise UsageError(f"{option.shown} needs a value", hint=f"`{self._program} --help` shows every option")
        else:
            self._set(option, name, args[at], given)
            return at + 1
        return at

    def _set(self, option: Option, name: str, value: str, given: dict[str, Any]) -> None:
        if not option.metavar:
            given[option.key] = boolean(value, name)
            if option.key == "help":
                print(self.help_text(), end="")
                sys.exit(0)
        elif isinstance(option.value, list):
            given[option.key].append(value)
        elif option.choices and value not in option.choices:
            raise UsageError(f"{option.names[-1]} {value} is not one of: {', '.join(option.choices)}")
        else:
            given[option.key] = value

    def _place(self, words: list[str], rest: list[str], unknown: list[str], given: dict[str, Any]) -> None:
        """The words that are no options to their places."""
        if unknown:
            raise self._unknown_flag(unknown[0])
        for option, word in zip(self._words, words, strict=False):
            given[option.key] = word
        for option in self._words[len(words) :]:
            if option.required:
                raise UsageError(f"{option.metavar} is missing", hint=self._usage)
        more = words[len(self._words) :]
        if self._rest:
            given[self._rest.key] = [*more, *(rest[1:] if rest[:1] == ["--"] else rest)]
        elif more:
            raise UsageError(
                f"one argument too many: {more[0]}", hint=f"`{self._program} --help` shows how it is called"
            )

    def help_text(self) -> str:
        """How the command is called, and what it takes."""
        words = [*self._words, *([self._rest] if self._rest else [])]
        parts = [self._usage, self._description.strip()]
        parts += [_table("arguments:", words)] if words else []
        return "\n\n".join([*parts, _table("options:", self._options)]) + "\n"

    def _unknown_flag(self, word: str) -> UsageError:
        from jettison.syntax.suggest import closest

        name = word.partition("=")[0]
        hint = self._absent.get(name)
        if hint is None and name.startswith("--"):  # between two single letters nothing is near
            near = closest(name, self._named)
            hint = f"did you mean {near}?" if near else None
        return UsageError(f"unknown flag: {name}", hint=hint or f"`{self._program} --help` shows every option")


def _key(names: tuple[str, ...]) -> str:
    long = next((name for name in names if name.startswith("--")), names[0])
    return long.lstrip("-").replace("-", "_")


def _looks_like_an_option(word: str) -> bool:
    """Most likely its value was forgotten; `--name=-value` says so if not."""
    return len(word) > 1 and word[0] == "-" and not word[1].isdigit() and " " not in word


def terminal_width() -> int:
    """Columns of the terminal that standard output is, 80 for anything else."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns) or 80
    except (OSError, ValueError):
        return 80


def _table(heading: str, options: list[Option]) -> str:
    """What there is to write on the left, what it means on the right."""
    import textwrap

    lines = [heading]
    for option in options:
        names = f"  {', '.join(option.names)} {option.metavar}".rstrip() if option.names else f"  {option.metavar}"
        first, *more = textwrap.wrap(option.about, max(terminal_width() - NAMES_COLUMNS, 30)) or [""]
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
