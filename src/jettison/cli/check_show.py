"""What `--check` prints: each finding with its page and its lines, as docker prints them; or as JSON."""

from __future__ import annotations

from typing import Any

from jettison.app.call import Checked
from jettison.base.span import Source, Span
from jettison.cli.call_show import data
from jettison.lint.registry import load
from jettison.lint.rule import Finding

RULER = "-" * 20


def check_text(checked: Checked) -> str:
    """How many were found, then one after the other: rule, page, message, place, lines."""
    count = len(checked.findings)
    if not count:
        return "" if checked.error is not None else "Check complete, no warnings found.\n"
    found = "1 warning has been found!" if count == 1 else f"{count} warnings have been found!"
    return f"Check complete, {found}\n" + "".join(_warning(checked.source, finding) for finding in checked.findings)


def _warning(source: Source, finding: Finding) -> str:
    head = f"\nWARNING: {finding.rule} - {load(finding.rule).url}\n{finding.message}\n"
    return f"{head}{source.name}:{finding.span.start_line}\n{framed(source, finding.span)}"


def framed(source: Source, span: Span) -> str:
    """The lines of a span behind `>>>`, with a few around them (two for one line, else one), between rulers."""
    lines = source.text.split("\n")
    around = 2 if span.start_line == span.end_line else 1
    first, last = max(1, span.start_line - around), min(len(lines), span.end_line + around)
    rows = [RULER]
    for number in range(first, last + 1):
        mark = ">>>" if span.start_line <= number <= span.end_line else "   "
        line = lines[number - 1].removesuffix("\r")
        rows.append(f" {number:>3} | {mark} {line}")
    return "\n".join([*rows, RULER, ""])


def check_document(checked: Checked) -> dict[str, Any]:
    """The findings as docker's JSON."""
    source = checked.source
    document: dict[str, Any] = {
        "warnings": [_document(finding) for finding in checked.findings],
        "sources": [{"filename": source.name, "language": "Dockerfile", "data": data(source)}],
    }
    if checked.error is not None:
        first = checked.error.diagnostics[0]
        document["buildError"] = {"message": first.message, "location": _location(first.span)}
    return document


def _document(finding: Finding) -> dict[str, Any]:
    rule = load(finding.rule)
    return {
        "ruleName": rule.name,
        "description": rule.description,
        "url": rule.url,
        "detail": finding.message,
        "location": _location(finding.span),
    }


def _location(span: Span) -> dict[str, Any]:
    start = {"line": span.start_line, "character": span.start_col}
    return {"ranges": [{"start": start, "end": {"line": span.end_line, "character": span.end_col}}]}
