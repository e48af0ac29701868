"""Builds killed with SIGKILL at any moment, alone or with all that they started: the next one makes the same image,
digest and all, of a store that is whole.

`JETTISON_KILLS` is how many; `scripts/soak` sets a larger number.
"""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import time
from typing import NamedTuple

import pytest

from aftermath import assert_nothing_is_left, processes
from jettison.store.store import Store
from project import Project

KILLS = int(os.environ.get("JETTISON_KILLS", "6"))
FILES = 150
STAGES = """\
FROM busybox AS first
COPY tree /tree
RUN mkdir /made && for i in $(seq 40); do echo $i > /made/$i; done && rm -r /tree/d1
FROM busybox AS second
RUN head -c 2000000 /dev/zero > /zeros && ln /zeros /other
FROM busybox
COPY --from=first --chown=7:8 /tree /srv/tree
COPY --from=second /zeros /srv/
RUN rm /srv/tree/d2/2 && echo made > /srv/made
COPY --from=first /made /srv/made-first
"""
# Reads every file that the steps above have left in the store, whether this build made it or an earlier one.
SUMS = 'RUN find /srv -type f -exec sha256sum {} + | sort > /sums && stat -c "%n %a %u:%g" /srv/tree/* >> /sums\n'


class Whole(NamedTuple):
    """A build that nobody disturbs: the archive's digest, and how long the part takes that is killed in others."""

    digest: str
    seconds: float


def prepared(folder: str) -> Project:
    project = Project(folder).base("busybox")
    for number in range(FILES):
        project.write(f"tree/d{number % 5}/{number}", f"{number}\n" * number)
    return project


def words(project: Project, dockerfile: str, *flags: str) -> list[str]:
    project.write("Dockerfile", dockerfile)
    layout = project.bases["busybox"]
    out = os.path.join(project.out, "image.tar")
    named, output = f"busybox=oci-layout://{layout}", f"type=oci,dest={out},rewrite-timestamp=true"
    return ["build", "--progress=quiet", "--build-context", named, "--output", output, *flags, project.context]


def digest(project: Project) -> str:
    """Of the archive that an undisturbed build of everything writes."""
    project.jettison(*words(project, STAGES + SUMS), variables={"SOURCE_DATE_EPOCH": "1700000000"}).ok()
    with open(os.path.join(project.out, "image.tar"), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    project = prepared(str(tmp_path_factory.mktemp("whole")))
    began = time.monotonic()
    project.jettison(*words(project, STAGES)).ok()
    return Whole(digest(project), time.monotonic() - began)


def itself(process: subprocess.Popen[bytes], _: Project) -> set[int]:
    return {process.pid}


def all_of_it(process: subprocess.Popen[bytes], project: Project) -> set[int]:
    return {process.pid, *processes(project)}


def what_it_started(process: subprocess.Popen[bytes], project: Project) -> set[int]:
    """The program goes on, to its error."""
    return set(processes(project)) - {process.pid}


def kill(pids: set[int]) -> None:
    """All at one moment: they stand still first. Else a step might lose a part of its own command (`$(seq 40)`), take
    that for the part's end, and be done, with another result, before its turn comes.
    """
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_build_killed_at_any_moment(seed: int, whole: Whole, tmp_path: object) -> None:
    dice = random.Random(seed)
    project = prepared(str(tmp_path))
    flags = dice.choice([(), ("--no-cache",)])
    if flags:  # the store has it all, and it is made again beside that
        project.jettison(*words(project, STAGES)).ok()
    process = subprocess.Popen(
        [*project.program, *words(project, STAGES, *flags)],
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(dice.uniform(0, whole.seconds))
    except subprocess.TimeoutExpired:
        kill(dice.choice([itself, itself, all_of_it, what_it_started])(process, project))
    process.wait()
    assert digest(project) == whole.digest
    assert_nothing_is_left(project)
    assert_store_is_whole(project)


def assert_store_is_whole(project: Project) -> None:
    with Store.open(project.store) as store:
        assert store.index.rows("PRAGMA integrity_check") == [("ok",)]
        assert store.rubbish() == ()
        for folder, _, names in os.walk(os.path.join(store.root, "blobs", "sha256")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    assert hashlib.file_digest(file, "sha256").hexdigest() == name
