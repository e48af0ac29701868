"""The flags of one instruction as its parser asks for them: known, of the right kind, given once. Reference §1.1."""

from __future__ import annotations

from jettison.syntax.nodes import Flag, Word
from jettison.syntax.rawflags import RawFlag
from jettison.syntax.request import Request
from jettison.syntax.suggest import did_you_mean

STRING = "string"
BOOL = "bool"
STRINGS = "strings"  # may be given several times

Table = dict[str, str]


class Flags:
    """The flags of one instruction, checked against the ones it knows. What is wrong is noted in the request."""

    __slots__ = ("_found", "_request")

    def __init__(self, request: Request, known: Table) -> None:
        self._request = request
        self._found: dict[str, list[RawFlag]] = {}
        for flag in request.flags:
            self._take(flag, known)

    def _take(self, flag: RawFlag, known: Table) -> None:
        kind = known.get(flag.name)
        span = self._request.line.span(flag.start, flag.end)
        if kind is None:
            hint = did_you_mean(flag.name, known, "--") or _known_hint(self._request.name, known)
            self._request.fault(f"unknown flag: --{flag.name}", span, hint)
        elif flag.name in self._found and kind != STRINGS:
            self._request.fault(f"duplicate flag specified: --{flag.name}", span, "give it once")
        elif flag.value is None and kind != BOOL:
            self._request.fault(f"missing a value on flag: --{flag.name}", span, f"write --{flag.name}=VALUE")
        elif kind == BOOL and not self._is_bool(flag):
            return
        else:
            self._found.setdefault(flag.name, []).append(flag)

    def _is_bool(self, flag: RawFlag) -> bool:
        value = flag.value
        if value is None or value.lower() in {"true", "false"}:
            return True
        span = self._request.line.span(flag.start, flag.end)
        hint = f"write --{flag.name}, --{flag.name}=true or --{flag.name}=false"
        if value == "":
            self._request.fault(f"missing a value on flag: --{flag.name}", span, hint)
        else:
            self._request.fault(f"expecting boolean value for flag --{flag.name}, not: {value}", span, hint)
        return False

    def word(self, name: str) -> Word | None:
        """The value of a flag as a word; None when it was not given, or is empty."""
        found = self._found.get(name)
        if not found or not found[0].value:
            return None
        flag = found[0]
        return Word(flag.value or "", self._request.line.span(flag.value_start, flag.end))

    def given(self, name: str) -> Flag | None:
        """A flag with where it stands, or None; its value may be empty."""
        found = self.all(name)
        return found[0] if found else None

    def all(self, name: str) -> list[Flag]:
        """Every use of a flag, in order."""
        line = self._request.line
        return [Flag(flag.name, flag.value, line.span(flag.start, flag.end)) for flag in self._found.get(name, ())]

    def truth(self, name: str) -> bool | None:
        """The value of a boolean flag; None when it was not given."""
        found = self._found.get(name)
        return (found[0].value or "true").lower() == "true" if found else None


def _known_hint(instruction: str, known: Table) -> str:
    if not known:
        return f"{instruction} takes no flags; a `--` before the arguments ends them"
    return f"{instruction} knows {', '.join('--' + name for name in sorted(known))}"
