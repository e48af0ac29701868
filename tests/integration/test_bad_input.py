"""What goes wrong is said in words that are kept here: where, what, and what to do about it (tests/goldens/errors).

The exit code is the documented one, no traceback is ever shown, and the store is afterwards as good as before.
"""

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from aftermath import assert_nothing_is_left, good_build, said
from golden import Golden
from jettison.base.errors import BY_NAME, DockerfileError, StepError
from project import Project
from users import ROOT

OFFLINE = {name: "" for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (upper, upper.lower())}
UTF_16 = "FROM scratch\n".encode("utf-16")
SCRATCH = "FROM scratch\nCOPY a.txt /\n"
BINARY = b"\x7fELF\x02\x01\x01\0\0\0\0\0\n\xff\xfe\n"
FILES = {"a.txt": "a\n", "b.txt": "b\n", "sub/c.txt": "c\n"}


class Case(NamedTuple):
    """A context with something wrong, or a wrong word on the command line. `files` are beside FILES."""

    name: str
    code: int
    dockerfile: str | bytes | None = SCRATCH
    flags: tuple[str, ...] = ()
    files: Mapping[str, str] = MappingProxyType({})
    links: Mapping[str, str] = MappingProxyType({})


SYNTAX = [
    Case("unknown-instruction", 3, "FROM busybox\nRUNN make\nCOPPY a b\nINSTALL curl\n"),
    Case("unknown-flag-of-an-instruction", 3, "FROM scratch\nCOPY --chwon=1:1 a.txt /\n"),
    Case("unterminated-heredoc", 3, "FROM busybox\nRUN <<EOT\necho hello\n"),
    Case("unterminated-quote", 3, 'FROM busybox\nENV A="b\n'),
    Case("copy-with-one-word", 3, "FROM scratch\nCOPY a.txt\n"),
    Case("unknown-mount-type", 3, "FROM busybox\nRUN --mount=type=cach,target=/x true\n"),
    Case("unknown-mount-key", 3, "FROM busybox\nRUN --mount=type=cache,targt=/x true\n"),
    Case("bad-chmod", 3, "FROM busybox\nCOPY --chmod=rwx a.txt /\n"),
    Case("empty-dockerfile", 3, ""),
    Case("comments-alone", 3, "# FROM scratch\n\n# nothing else\n"),
    Case("no-stage", 3, "COPY a.txt /\n"),
    Case("a-hundred-wrong-lines", 3, "FROM scratch\n" + "".join(f"WORD{n} x\n" for n in range(100))),
    Case("a-long-line", 3, "FROM scratch\n" + 70 * " " + "RUNN " + 300 * "x" + "\n"),
    Case("escape-sequences", 3, "FROM scratch\n\033]0;mine\007 x\n"),
    Case("binary-dockerfile", 4, BINARY),
    Case("utf-16-dockerfile", 4, UTF_16),
    Case("no-dockerfile", 4, None),
    Case("bad-ignore-pattern", 4, files={".dockerignore": "sub\n# [\n!sub/[a\n"}),
]
STAGES = [
    Case("missing-stage", 5, "FROM busybox AS build\nFROM scratch\nCOPY --from=buidl /etc/passwd /\n"),
    Case("stage-of-itself", 3, "FROM busybox AS a\nCOPY --from=a /x /y\n"),
    Case("stages-in-a-circle", 3, "FROM busybox AS a\nCOPY --from=b / /\nFROM busybox AS b\nCOPY --from=a / /\n"),
    Case("stage-below", 3, "FROM busybox AS a\nCOPY --from=1 /x /y\nFROM busybox AS b\n", ("--target=a",)),
    Case("stage-number-too-large", 3, "FROM busybox AS a\nCOPY --from=9 /x /y\n"),
    Case("unknown-target", 2, "FROM busybox AS build\nFROM scratch AS final\n", ("--target=biuld",)),
    Case("blank-base", 3, "ARG BASE\nFROM $BASE\n"),
    Case("base-with-a-bad-name", 3, "FROM Busy_Box\n"),
    Case("variable-in-from", 3, "FROM busybox AS a\nARG S=a\nFROM scratch\nCOPY --from=$S /x /\n"),
    Case("base-offline", 5, "FROM nosuch.invalid/base:1\n"),
    Case("base-unreachable", 5, "FROM localhost:1/base:1\n"),
]
FILES_MISSING = [
    Case("missing-file", 4, "FROM scratch\nCOPY a.tx /\n"),
    Case("missing-file-of-several", 4, "FROM scratch\nCOPY a.txt \\\n     nosuch.txt \\\n     b.txt /d/\n"),
    Case("missing-file-in-a-stage", 4, "FROM busybox AS b\nFROM scratch\nCOPY --from=b /etc/pasword /\n"),
    Case("missing-file-by-variable", 4, "FROM scratch\nARG F=nosuch\nCOPY $F /\n"),
    Case("missing-bind-source", 4, "FROM busybox\nRUN --mount=type=bind,source=/nosuch,target=/x true\n"),
    Case("hidden-file", 4, files={".dockerignore": "# text\n\n*.txt\n!b.txt\n"}),
    Case("hidden-directory", 4, 'FROM scratch\nCOPY ["./sub/c.txt", "/"]\n', files={".dockerignore": "sub\n"}),
    Case("hidden-by-the-dockerfiles-own", 4, files={"Dockerfile.dockerignore": "a.*\n", ".dockerignore": "b\n"}),
    Case("cyclic-link", 4, "FROM scratch\nCOPY x/y /\n", links={"x": "z", "z": "x"}),
    Case("cyclic-destination", 4, "FROM busybox\nRUN ln -s b /a && ln -s a /b\nCOPY a.txt /a/\n"),
    Case("unknown-owner-from-scratch", 4, "FROM scratch\nCOPY --chown=bob a.txt /\n"),
]
STEPS = [
    Case("failing-run", 1, "FROM busybox\nRUN echo one && echo two >&2 && exit 3\n"),
    Case("failing-heredoc", 1, 'FROM busybox\nRUN <<EOT\nset -e\necho "one"\nfalse\nEOT\n'),
    Case("failing-after-many-lines", 1, "FROM busybox\nRUN seq 100; exit 1\n"),
    Case("unknown-command", 1, "FROM busybox\nRUN nosuch --flag\n"),
    Case("no-shell", 1, "FROM scratch\nRUN make\n"),
    Case("unknown-user", 4, "FROM busybox\nUSER nosuch\nRUN id\n"),
    Case("unknown-group", 4, "FROM busybox\nUSER root:nosuch\nRUN id\n"),
    Case("missing-required-secret", 4, "FROM busybox\nRUN --mount=type=secret,id=token,required true\n"),
    Case("missing-required-agent", 4, "FROM busybox\nRUN --mount=type=ssh,required true\n"),
    Case("not-entitled", 2, "FROM busybox\nRUN --security=insecure true\n"),
]
FLAGS = [
    Case("unknown-flag", 2, flags=("--taget=x",)),
    Case("unknown-flag-like-none", 2, flags=("--frobnicate",)),
    Case("flag-without-a-value", 2, flags=("--target",)),
    Case("bad-progress", 2, flags=("--progress=fancy",)),
    Case("bad-jobs", 2, flags=("--jobs=-3",)),
    Case("bad-platform", 2, flags=("--platform=amiga",)),
    Case("bad-isolation", 2, flags=("--isolation=vm",)),
    Case("bad-network", 2, flags=("--network=bridge",)),
    Case("bad-entitlement", 2, flags=("--allow=everything",)),
    Case("bad-host", 2, "FROM busybox\nRUN true\n", flags=("--add-host=db:mars",)),
    Case("label-without-a-name", 2, flags=("--label==x",)),
    Case("output-of-nothing", 2, flags=("-o", "")),
    Case("bad-shm-size", 2, flags=("--shm-size=huge",)),
    Case("bad-tag", 2, flags=("--tag=Upper",)),
    Case("bad-epoch", 2, flags=("--build-arg=SOURCE_DATE_EPOCH=now",)),
    Case("bad-build-context", 2, flags=("--build-context=more",)),
    Case("missing-build-context", 4, flags=("--build-context=more=nosuch",)),
    Case("build-context-is-no-layout", 4, "FROM more\n", flags=("--build-context=more=oci-layout://sub",)),
    Case("bad-output-type", 2, flags=("-otype=ocii,dest=x",)),
    Case("bad-output-key", 2, flags=("-otype=oci,dets=x",)),
    Case("output-without-type", 2, flags=("-odest=x",)),
    Case("output-is-a-directory", 2, flags=("-otype=oci,dest=sub",)),
    Case("output-is-a-file", 2, flags=("-otype=local,dest=a.txt",)),
    Case("output-below-a-file", 6, flags=("-otype=local,dest=a.txt/b",)),
    Case("bad-secret", 2, flags=("--secret=what=ever",)),
    Case("missing-secret-file", 4, flags=("--secret=id=token,src=nosuch",)),
    Case("missing-secret-variable", 4, flags=("--secret=id=token,env=NO_SUCH_VARIABLE",)),
    Case("iidfile-in-no-directory", 2, flags=("--iidfile=no/such",)),
    Case("metadata-file-is-a-directory", 2, flags=("--metadata-file=sub",)),
    Case("missing-dockerfile", 4, flags=("-fnosuch.Dockerfile",)),
    Case("dockerfile-is-a-directory", 4, flags=("-fsub",)),
]
CASES = [*SYNTAX, *STAGES, *FILES_MISSING, *STEPS, *FLAGS]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One store for all cases: whatever went wrong in it, builds go on."""
    project = Project(str(tmp_path_factory.mktemp("bad")))
    good_build(project)
    return project


def in_a_context(project: Project, case: Case) -> str:
    """The case's context, written; its path."""
    folder = os.path.join(project.context, case.name)
    for name, text in {**FILES, **case.files}.items():
        project.write(os.path.join(case.name, name), text)
    for name, target in case.links.items():
        os.symlink(target, os.path.join(folder, name))
    if case.dockerfile is not None:
        project.write(os.path.join(case.name, "Dockerfile"), case.dockerfile)
    return folder


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_said_what_is_wrong(shared: Project, golden: Golden, case: Case) -> None:
    folder = in_a_context(shared, case)
    base = f"--build-context=busybox=oci-layout://{shared.bases['busybox']}"
    words = ("build", "--progress=quiet", base, ".", *case.flags)
    outcome = shared.jettison(*words, variables={**OFFLINE, "BUILDKIT_PROGRESS": "quiet"}, folder=folder)
    text = said(outcome, shared, shared.bases["busybox"])
    golden.check(f"errors/{case.name}.txt", text)
    assert outcome.code == case.code
    if outcome.code not in (2, 3):  # what was refused before anything was opened has touched nothing
        assert "ran" not in good_build(shared)
        assert_nothing_is_left(shared)


def test_exit_codes_are_the_documented_ones() -> None:
    with open(os.path.join(ROOT, "docs", "exit-codes.md"), encoding="utf-8") as file:
        documented = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| (\w+) \|", file.read(), re.MULTILINE)}
    kinds = (*BY_NAME.values(), DockerfileError, StepError)
    assert documented == {kind.__name__: kind.exit_code for kind in kinds}
