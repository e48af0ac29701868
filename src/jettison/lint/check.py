"""All rules over one file: what is asked for, in order of place, less what comments excuse. Reference §1.12."""

from __future__ import annotations

from jettison.base.span import Span
from jettison.lint.options import CheckOptions, comment_options
from jettison.lint.registry import rules_about
from jettison.lint.rule import Finding
from jettison.lint.subject import Subject
from jettison.syntax.nodes import Dockerfile


def find(subject: Subject, options: CheckOptions) -> tuple[Finding, ...]:
    """What the rules that `options` let run find, in order of place, each thing once."""
    if not subject.stages:
        return ()
    excused = _excused(subject.dockerfile)
    found: dict[Finding, None] = {}
    for rule in rules_about(subject):
        if not options.runs(rule.name, experimental=rule.experimental):
            continue
        for message, span in rule.check(subject):
            if not any(_covers(place, span) and not own.runs(rule.name, experimental=False) for place, own in excused):
                found[Finding(rule.name, message, span)] = None
    return tuple(sorted(found, key=_place))


def _excused(dockerfile: Dockerfile) -> list[tuple[Span, CheckOptions]]:
    """The instructions under a comment `# check=skip=…`, and what it says."""
    return [
        (node.span, options)
        for node in dockerfile.instructions
        if node.comments and (options := comment_options(node.comments)) is not None
    ]


def _covers(outer: Span, inner: Span) -> bool:
    return outer.start_line <= inner.start_line <= outer.end_line


def _place(finding: Finding) -> tuple[int, int, str]:
    return (finding.span.start_line, finding.span.start_col, finding.rule)
