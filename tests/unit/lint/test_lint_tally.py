"""The same cases under tally, a linter that took BuildKit's rules over: where it says something else, and why.

CopyIgnoredFile is left out: tally's looks at the files that are there. So is InvalidBaseImagePlatform, for which it
would ask a registry.
"""

import json
import os
import subprocess
import sys

import pytest
from lint_world import FOLDER, case_findings, cases

from golden import HERE

NOT_SHARED = {"CopyIgnoredFile", "InvalidBaseImagePlatform"}
IMAGE = "tally knows no image: what one sets is undefined to it"
SKIP = "tally knows the directive in its plain form alone, and takes one above an instruction for the whole file's"
EXPERIMENTAL = "tally has no experimental rules: those that are asked for run"
VARIABLE = "tally looks at the text, BuildKit at the words as they are expanded"

DIFFERENT = {
    "ConsistentInstructionCasing/clean-stages-alone": "BuildKit counts the instructions of stages alone",
    "DuplicateStageName/any-case": "tally drops StageNameCasing where there is worse to say",
    "ReservedStageName/any-case": "tally drops StageNameCasing where there is worse to say",
    "ExposeProtoCasing/clean-unknown": IMAGE,
    "ExposeProtoCasing/variable": VARIABLE,
    "FromAsCasing/clean-mixed-from": EXPERIMENTAL,
    "InvalidDefaultArgInFrom/clean-stage": "a stage is meant, in another case: no name of an image, but no fault",
    "InvalidDefinitionDescription/clean-empty-line": "BuildKit's own page calls this good",
    "InvalidDefinitionDescription/clean-not-asked-for": EXPERIMENTAL,
    "JSONArgsRecommended/broken-json": "BuildKit calls it shell form, and warns",
    "JSONArgsRecommended/single-quotes": "BuildKit calls it shell form, and warns",
    "JSONArgsRecommended/clean-shell": "BuildKit's own page calls this good",
    "JSONArgsRecommended/clean-shell-of-image": IMAGE,
    "JSONArgsRecommended/clean-shell-of-parent": "a stage inherits its parent's SHELL",
    "RedundantTargetPlatform/default": "the default is never used, as TARGETPLATFORM is always set",
    "ReservedStageName/with-duplicate": "tally drops StageNameCasing where there is worse to say",
    "UndefinedArgInFrom/several": "tally drops it where the base is no image's name",
    "UndefinedVar/all-instructions": "tally does not look at --chown",
    "UndefinedVar/clean-declared": "scratch has a PATH: reference §1.5",
    "UndefinedVar/clean-image-sets-it": IMAGE,
    "UndefinedVar/clean-onbuild-of-image": IMAGE,
    "UndefinedVar/clean-onbuild-of-parent": "the parent's trigger has set it",
    "UndefinedVar/clean-stage-is-a-context": "tally is not told of build contexts",
    "UndefinedVar/clean-unknown-image": IMAGE,
    "WorkdirRelativePath/clean-unknown-image": IMAGE,
    "WorkdirRelativePath/clean-windows": "a letter and a colon make a path of Windows absolute",
    "WorkdirRelativePath/dot-and-tilde": VARIABLE,
    "WorkdirRelativePath/variable": VARIABLE,
    "skipping/blanks-and-remark": SKIP,
    "skipping/experimental-wins": SKIP,
    "skipping/one-instruction": SKIP,
    "skipping/one-instruction-far-away": SKIP,
    "skipping/one-instruction-of-two-rules": SKIP,
}

Found = set[tuple[str, int]]


def _shared(rule: str, line: int) -> tuple[str, int]:
    """tally puts an empty continuation at the instruction's last line, we at the empty one."""
    return (rule, 0 if rule == "NoEmptyContinuation" else line)


def _tally(names: list[str]) -> dict[str, Found]:
    root = os.path.join(HERE, FOLDER)
    words = ["lint", "--no-config", "--format=json", "--slow-checks=off", "--fail-level=none", "--select=buildkit/*"]
    files = [os.path.join(name, "Dockerfile") for name in names]
    program = os.path.join(os.path.dirname(sys.executable), "tally")
    done = subprocess.run([program, *words, *files], cwd=root, capture_output=True, check=False, timeout=120)
    found: dict[str, Found] = {name: set() for name in names}
    for file in json.loads(done.stdout)["files"]:
        own = found[os.path.dirname(os.path.relpath(os.path.join(root, file["file"]), root))]
        for violation in file["violations"]:
            rule = violation["rule"].removeprefix("buildkit/")
            if rule != violation["rule"] and rule not in NOT_SHARED:
                own.add(_shared(rule, violation["location"]["start"]["line"]))
    return found


@pytest.mark.peer
def test_tally_says_the_same_or_we_know_why() -> None:
    names = [case for case in cases() if case.partition("/")[0] not in NOT_SHARED]
    theirs = _tally(names)
    ours = {
        name: {_shared(one.rule, one.span.start_line) for one in case_findings(name) if one.rule not in NOT_SHARED}
        for name in names
    }
    assert {name for name in names if ours[name] != theirs[name]} == set(DIFFERENT)
    assert sum(len(found) for found in theirs.values()) > 80
