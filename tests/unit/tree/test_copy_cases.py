"""Every rule of COPY as a case: tree, input and op in; what the step changed out. Reference §1.6, §1.7, §1.9."""

import os
import re

import pytest
from copy_cases import CASES
from trees import DISK, check_disk, directory, shown, snapshot, usual

from jettison.base.errors import InputError
from jettison.layer.unpack import unarchive
from jettison.planning.ops import CopyOp, CopySource, InlineFile, MkdirOp
from jettison.syntax.glob import has_wildcard
from jettison.tree.manifest import Head
from jettison.tree.view import DirectoryView, StackView
from jettison.tree.write import copy_step


def sources(case):
    for text in case.get("copy", ()):
        if isinstance(text, tuple):
            yield CopySource(None, "/" + text[0], inline=InlineFile(*text))
            continue
        pivot, mark, rest = text.partition("/./")
        path = "/" + (f"{pivot}/{rest}" if mark else text).strip("/")
        yield CopySource(
            1,
            path,
            wildcard=has_wildcard(path),
            pivot="/" + pivot.strip("/") if mark else "",
            unpack=case.get("unpack", False),
        )


def op_of(case):
    if "workdir" in case:
        return MkdirOp(path=case["workdir"], user=case.get("user", ""))
    dest = case["to"]
    return CopyOp(
        sources=tuple(sources(case)),
        dest=dest.rstrip("/.") or "/",
        dest_is_dir=dest.endswith(("/", "/.")),
        **{flag: case[flag] for flag in ("chown", "chmod", "link", "parents", "excludes") if flag in case},
    )


def extract(archive, aside, below):
    return unarchive(archive, aside, DISK, below=below)


@pytest.mark.parametrize("case", CASES, ids=[case["rule"] for case in CASES])
def test_rule(case, tmp_path):
    stack = [snapshot(tmp_path / "base", case["base"])] if "base" in case else []
    if "stage" in case:
        view = StackView([snapshot(tmp_path / "stage", case["stage"])])
    else:
        view = DirectoryView(directory(tmp_path / "context", case.get("context", {})), case.get("ignore", ()))
    out = str(tmp_path / "out")

    def run():
        return copy_step(op_of(case), stack, [view], out, disk=DISK, head=Head(), unarchive=extract, epoch=1000)

    if "error" in case:
        with pytest.raises(InputError, match=re.escape(case["error"])) as caught:
            run()
        assert case.get("hint", "") in (caught.value.hint or "")
        assert not os.path.exists(out)
        return
    done = run()
    assert done.changed == bool(case["gives"])
    if not done.changed:
        assert not os.path.exists(out)
        return
    assert shown(out) == usual(case["gives"])
    if os.geteuid() == 0:
        check_disk(out)
