"""What a build that went wrong must not leave: processes, mounts, rubbish, or a store that is worse than before."""

from __future__ import annotations

import os
import re
import select

from project import Outcome, Project

GOOD = "FROM busybox\nCOPY kept.txt /kept.txt\nRUN echo good > /good\n"


def said(outcome: Outcome, project: Project, *hidden: str) -> str:
    """An outcome as a golden text: without what differs from one run, machine or directory to the next."""
    text = f"exit code {outcome.code}\n{outcome.stdout}{outcome.stderr}"
    assert "Traceback" not in text
    for path in hidden:
        text = text.replace(path, "PATH")
    text = text.replace(project.store, "STORE").replace(project.folder, "FOLDER")
    text = re.sub(r"\((Name or service not known|Temporary failure[^)]*|No address[^)]*)\)", "(REASON)", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "REGISTRY", text)
    return re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", text)


def good_build(project: Project) -> set[str]:
    """Build what has nothing wrong, from a context of its own; the verdicts of its steps."""
    folder = os.path.join(project.folder, "good")
    os.makedirs(folder, exist_ok=True)
    for name, text in (("Dockerfile", GOOD), ("kept.txt", "kept\n")):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    project.base("busybox")
    return {step["verdict"] for step in project.record("--progress=quiet", context=folder)["steps"]}


def assert_nothing_is_left(project: Project) -> None:
    """No process that serves the store or works in it, no mount below it, nothing unfinished in it."""
    wait_for_end(project)
    assert processes(project) == []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        assert [line for line in lines if f" {project.store}/" in line] == []
    rubbish = os.path.join(project.store, "store", "tmp")
    assert not os.path.isdir(rubbish) or os.listdir(rubbish) == []


def wait_for_end(project: Project) -> None:
    """Wait for processes that are ending: the keeper of a program that has been killed."""
    for pid in processes(project):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([handle], [], [], 20)
        os.close(handle)


def processes(project: Project) -> list[int]:
    """The pids of all that name the store on their command line, in their environment (a keeper that is a copy of its
    driver) or in their mounts: keepers, and the steps they run.
    """
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ", "mountinfo"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if os.fsencode(project.store) in file.read():
                        found.add(int(pid))
            except OSError:
                continue
    return sorted(found - {os.getpid()})
