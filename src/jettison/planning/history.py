"""What history says of an instruction, in the words of the reference builder. Reference §1.11."""

from __future__ import annotations

from collections.abc import Iterable

from jettison.oci.documents import Healthcheck, HistoryEntry
from jettison.planning.graph import PlannedHistory

COMMENT = "buildkit.dockerfile.v0"
LAYER_MARK = " # buildkit"

_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
_QUOTES = {"'": r"\'", '"': '"'}


def metadata(text: str) -> PlannedHistory:
    """An instruction that makes no layer."""
    return PlannedHistory(HistoryEntry(created_by=text, comment=COMMENT, empty_layer=True))


def layer(text: str, step: str) -> PlannedHistory:
    """An instruction whose step makes a layer, if it changes anything."""
    return PlannedHistory(HistoryEntry(created_by=text, comment=COMMENT), step)


def run_text(args: Iterable[str], declared: Iterable[tuple[str, str]]) -> str:
    """`RUN |2 a=1 b=2 /bin/sh -c cmd # buildkit`: a name that was declared twice counts once, with its last value."""
    values = dict(declared)
    shown = [f"|{len(values)}", *(f"{name}={value}" for name, value in values.items())] if values else []
    return " ".join(["RUN", *shown, *args]) + LAYER_MARK


def go_quoted(text: str) -> str:
    """`text` as Go's %q writes it."""
    return '"' + "".join(map(_quoted_char, text)) + '"'


def _quoted_char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() or char == " ":
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_quoted_char(code: int) -> str:
    """The number as Go's %q writes it: the character that it is the code of, if there is one."""
    char = chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"
    return f"'{_quoted_char(char) if char not in _QUOTES else _QUOTES[char]}'"


def go_quoted_list(items: Iterable[str]) -> str:
    """`["a" "b"]`, as Go's %q writes a slice."""
    return "[" + " ".join(go_quoted(item) for item in items) + "]"


def go_list(items: Iterable[str]) -> str:
    """`[a b]`, as Go's %v writes a slice."""
    return "[" + " ".join(items) + "]"


def go_duration(nanoseconds: int) -> str:
    """`1m30s`, as Go writes a duration."""
    if nanoseconds == 0:
        return "0s"
    for unit, name in ((1, "ns"), (1_000, "µs"), (1_000_000, "ms")):
        if nanoseconds < min(unit * 1_000, 1_000_000_000):
            return _decimal(nanoseconds, unit) + name
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_decimal(rest, 1_000_000_000)}s"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def healthcheck_text(check: Healthcheck) -> str:
    r"""`HEALTHCHECK &{["CMD-SHELL" "x"] "30s" "0s" "0s" "0s" '\x03'}`: the retries as a character."""
    durations = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = " ".join(go_quoted(go_duration(value)) for value in durations)
    return f"HEALTHCHECK &{{{go_quoted_list(check.test)} {shown} {go_quoted_char(check.retries)}}}"
