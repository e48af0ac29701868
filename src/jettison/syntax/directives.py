"""Parser directives: `# syntax=`, `# escape=` and `# check=` in the very first lines. Reference §1.1."""

from __future__ import annotations

import msgspec

from jettison.base.errors import Diagnostic
from jettison.base.span import Source, Span
from jettison.syntax.blanks import SPACES
from jettison.syntax.lines import Lines
from jettison.syntax.nodes import Directive
from jettison.syntax.regex import lazy

NAMES = ("syntax", "escape", "check")

_BODY = lazy(r"[ \t\n\f\r]*([a-zA-Z][a-zA-Z0-9]*)[ \t\n\f\r]*=[ \t\n\f\r]*(.+?)[ \t\n\f\r]*\Z")


def read_directives(lines: Lines) -> tuple[Directive, ...]:
    """Consumes the directives at the top and sets the escape character of `lines`; what is wrong goes to its faults."""
    found: list[Directive] = []
    for number, line in enumerate(lines.lines, 1):
        text = line.lstrip(SPACES)
        matched = _BODY.match(text, 1) if text[:1] == "#" else None
        if matched is None or matched[1].lower() not in NAMES:
            break
        start = lines.column(number, len(line) - len(text))
        span = Span(number, start, number, start + matched.end(2))
        directive = Directive(matched[1].lower(), matched[2], span)
        lines.number = number
        fault = _fault(directive, found)
        if fault:
            lines.faults.append(fault)
        elif directive.name == "escape":
            lines.escape = directive.value
        found.append(directive)
    return tuple(found)


def _fault(directive: Directive, earlier: list[Directive]) -> Diagnostic | None:
    if any(other.name == directive.name for other in earlier):
        message = f"only one {directive.name} parser directive can be used"
        return Diagnostic(message, directive.span, "remove this line or the earlier one")
    if directive.name == "escape" and directive.value not in {"\\", "`"}:
        message = f"invalid escape token '{directive.value}' does not match ` or \\"
        return Diagnostic(message, directive.span, "write # escape=\\ or # escape=`")
    return None


def detect_syntax(source: Source) -> str | None:
    """The frontend that a file asks for, or None: `# syntax=`, `// syntax=`, or a JSON object's `syntax`.

    A first line that begins with `#!` is skipped. The value ends at its first blank.
    """
    text = source.text.removeprefix("\ufeff")
    if text.startswith("#!"):
        text = text.partition("\n")[2]
    for mark in ("#", "//"):
        for line in text.split("\n"):
            matched = _BODY.match(line, len(mark)) if line.startswith(mark) else None
            if matched is None or matched[1].lower() not in NAMES:
                break
            if matched[1].lower() == "syntax":
                return matched[2].partition(" ")[0]
    return _syntax_of_json(text) if text.lstrip(SPACES).startswith("{") else None


def _syntax_of_json(text: str) -> str | None:
    try:
        document = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    value = document.get("syntax")
    return value if isinstance(value, str) else None
