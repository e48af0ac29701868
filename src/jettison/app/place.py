"""Where an error of a step is shown: the word of the Dockerfile that it is about, and the line of the ignore file."""

from __future__ import annotations

import posixpath
import re

from jettison.base.errors import JettisonError, Location
from jettison.base.span import Source, Span
from jettison.planning.graph import Step
from jettison.syntax.ignore import parse_rules
from jettison.tree.view import View

_WORD = re.compile(r"[^\s,=\"\[\]]+")


def placed(error: JettisonError, step: Step) -> JettisonError:
    """The error at its step, or just at the word there that names what it is about."""
    location = step.location
    if location is not None and error.subject:
        location = _word_of(location, error.subject) or location
    return error.at(location)


def with_rule(error: JettisonError, view: View, ignore: Source | None) -> JettisonError:
    """The error; where an ignore file hides what is missing, its hint names the line that does."""
    parts = error.subject.strip("/").split("/")
    for length in range(1, len(parts) + 1):
        hidden = "/".join(parts[:length])
        pattern = view.hidden_by(hidden) if ignore is not None and hidden else None
        if pattern is None or ignore is None:
            continue
        line = next((rule.line for rule in parse_rules(ignore.text) if rule.pattern == pattern), 1)
        text = ignore.line(line).strip()
        error.hint = f"/{hidden} exists, but {ignore.name}:{line} hides it: {text}"
        break
    if error.subject and error.hint is None:
        where = getattr(view, "root", None)
        error.hint = f"paths are looked up in the context {where}" if where else None
    return error


def _word_of(location: Location, subject: str) -> Location | None:
    """The word in the span that is the path `subject`; None when no word is (it came out of a variable)."""
    span = location.span
    for number in range(span.start_line, span.end_line + 1):
        text = location.source.line(number)
        for word in _WORD.finditer(text):
            if posixpath.normpath(f"/{word[0]}").replace("//", "/") == posixpath.normpath(subject):
                return Location(location.source, Span(number, word.start(), number, word.end()))
    return None
