#!/usr/bin/env python3
"""Write docs/conformance.md: every case by paragraph, with counts. `tests/conformance/table.py [FILE]`."""

from __future__ import annotations

import itertools
import os
import re
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "conformance.md")
if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.dirname(HERE))

from conformance import case as cases  # noqa: E402 - found only now when run as a script

TITLES = {
    "1.1": "File, directives, lines",
    "1.2": "Heredocs",
    "1.3": "Variable expansion",
    "1.4": "ARG and ENV",
    "1.5": "FROM, stages, targets",
    "1.6": "COPY and ADD: files",
    "1.7": "ADD: archives, HTTP, git",
    "1.8": "RUN",
    "1.9": "Metadata",
    "1.10": "Contexts and .dockerignore",
    "1.11": "Config and history",
}

_HEAD = """\
# Conformance

What jettison does with each part of the Dockerfile language, as cases that are built and read back in
`tests/conformance`: {count} of them. Each is one file, `tests/conformance/cases/PARAGRAPH/NAME.toml`, with its
Dockerfile, its context, and what must come out: files, config, history, or the error. The paragraphs are those of the
language reference that the project is written from. A case with a mark ● is in the older language too, which buildah
1.28 reads: what it makes of those {both} is written down beside them and compared, path by path. Of {differing},
marked ○, it makes something else, for the reasons [at the end](#where-buildah-differs).

This page is written by `tests/conformance/table.py`; a test fails when it is out of date.

| paragraph | about | cases |
| --- | --- | ---: |
{counts}
"""


def page() -> str:
    """The whole page."""
    groups = [
        (paragraph, [cases.load(name) for name in found])
        for paragraph, found in itertools.groupby(cases.names(), key=lambda name: name.partition("/")[0])
    ]
    counts = "\n".join(f"| §{paragraph} | {TITLES[paragraph]} | {len(found)} |" for paragraph, found in groups)
    total = sum(len(found) for _, found in groups)
    every = [case for _, found in groups for case in found]
    both, differing = sum(case.buildah for case in every), [case for case in every if case.differs]
    head = _HEAD.format(count=total, counts=counts, both=both, differing=len(differing))
    return head + "".join(_section(*group) for group in groups) + _differences(differing)


def _section(paragraph: str, found: list[cases.Case]) -> str:
    rows = "\n".join(f"| {_name(case)} | {_shown(case.says)} |" for case in found)
    return f"\n## §{paragraph} {TITLES[paragraph]}\n\n| case | what it shows |\n| --- | --- |\n{rows}\n"


def _name(case: cases.Case) -> str:
    mark = " ○" if case.differs else " ●" if case.buildah else ""
    return f"`{case.name.partition('/')[2]}`{mark}"


def _differences(found: list[cases.Case]) -> str:
    rows = "\n".join(f"| `{case.name}` | {_shown(case.differs.reason)} |" for case in found if case.differs)
    return f"\n## Where buildah differs\n\n| case | reason |\n| --- | --- |\n{rows}\n"


def _shown(text: str) -> str:
    """As Markdown that shows the text as it is."""
    return re.sub(r"([\\|*_<>`\[\]#])", r"\\\1", text)


def main() -> None:
    with open(sys.argv[1] if len(sys.argv) > 1 else PAGE, "w", encoding="utf-8") as file:
        file.write(page())


if __name__ == "__main__":
    main()
