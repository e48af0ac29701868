"""Dockerfiles and what the rules find in them. Add one: make a folder RULE/CASE with a Dockerfile (and options.json,
the fields of LowerOptions, and .dockerignore), run --update-golden, and read what it wrote. Case names that begin with
`clean` are those in which the rule finds nothing."""

import pytest
from lint_world import FOLDER, case_findings, cases

from golden import Golden
from jettison.lint.registry import ABOUT

SKIPPING = "skipping"


@pytest.mark.parametrize("case", cases())
def test_findings(case: str, golden: Golden) -> None:
    lines = []
    for finding in case_findings(case):
        span = finding.span
        place = f"{span.start_line}:{span.start_col}-{span.end_line}:{span.end_col}"
        lines.append(f"{place} {finding.rule}: {finding.message}\n")
    golden.check(f"{FOLDER}/{case}/expected.txt", "".join(lines) or "nothing\n")


@pytest.mark.parametrize("case", [case for case in cases() if not case.startswith(SKIPPING)])
def test_a_case_is_about_its_rule(case: str) -> None:
    rule, _, name = case.partition("/")
    found = [finding for finding in case_findings(case) if finding.rule == rule]
    assert bool(found) != name.startswith("clean")


@pytest.mark.parametrize("rule", sorted(ABOUT))
def test_every_rule_has_enough_cases(rule: str) -> None:
    names = [case.partition("/")[2] for case in cases() if case.startswith(f"{rule}/")]
    clean = [name for name in names if name.startswith("clean")]
    assert len(clean) >= 2
    assert len(names) - len(clean) >= 3
