"""docs/lint.md is made of the rules and of their golden cases: --update-golden writes it, else it is compared."""

import os

import pytest
from lint_world import FOLDER, case_findings, cases

from golden import HERE, Golden, read_golden
from jettison.lint.registry import all_rules
from jettison.lint.rule import Rule

PAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs", "lint.md")
HEAD = """# Build checks

<!-- Made of the rules and their tests: `pytest tests/unit/lint --update-golden` writes this page. -->

Every build looks for what is legal in a Dockerfile and yet most likely not meant, in all its stages, and tells of it in
short. `jettison build --check` looks, shows the lines, and builds nothing; it exits with 1 when there is something to
tell. `--call=check,format=json` says it to programs. The rules are BuildKit's, with its names and words.

    # check=skip=StageNameCasing,FromAsCasing     skip rules in this file (skip=all: all of them)
    # check=error=true                            findings fail the build, before the first step
    # check=experimental=all                      run the experimental rules too
    # check=skip=all;error=true                   several, with `;` between them; what follows `//` is a remark

stands in the first lines of the file. Right above an instruction, `# check=skip=RULE` is about that instruction alone.
`--build-arg BUILDKIT_DOCKERFILE_CHECK=skip=...`, or the environment's variable of that name, takes the place of the
directive.

Where a stage stands on an image that cannot be had (no network, no login), nothing is said of variables that the image
may set. A build asks for no image for the sake of a rule; `--check` does.

"""


def _example(title: str, case: str) -> str:
    lines = read_golden(f"{FOLDER}/{case}/Dockerfile").rstrip("\n").split("\n")
    if _ignores(case):
        patterns = read_golden(f"{FOLDER}/{case}/.dockerignore").split()
        title += " (the ignore file has " + ", ".join(f"`{pattern}`" for pattern in patterns) + ")"
    return f"{title}:\n\n" + "\n".join(f"    {line}".rstrip() for line in lines) + "\n"


def _ignores(case: str) -> bool:
    return os.path.exists(os.path.join(HERE, FOLDER, case, ".dockerignore"))


def _section(rule: Rule) -> str:
    mine = sorted((case for case in cases() if case.startswith(f"{rule.name}/")), key=_length)
    bad = next(case for case in mine if not case.startswith(f"{rule.name}/clean"))
    good = next(case for case in mine if case.startswith(f"{rule.name}/clean") and _ignores(case) == _ignores(bad))
    message = next(finding.message for finding in case_findings(bad) if finding.rule == rule.name)
    mark = " (experimental)" if rule.experimental else ""
    about = f"{rule.description.removesuffix('.')}. [More]({rule.url})\n"
    parts = [f"## {rule.name}{mark}\n", about, _example("Found", bad), f"says `{_fenced(message)}`\n"]
    return "\n".join([*parts, _example("Good", good)])


def _fenced(message: str) -> str:
    return f"` {message} `" if "`" in message else message


def _length(case: str) -> int:
    return len(read_golden(f"{FOLDER}/{case}/Dockerfile"))


def page() -> str:
    return HEAD + "\n".join(_section(rule) for rule in all_rules())


def test_the_page_is_up_to_date(golden: Golden) -> None:
    if golden.update:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(page())
    with open(PAGE, encoding="utf-8") as file:
        assert file.read() == page(), "docs/lint.md differs: run pytest tests/unit/lint --update-golden"


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_every_rule_is_on_the_page(rule: Rule) -> None:
    text = page()
    assert f"\n## {rule.name}" in text
    assert rule.url in text
