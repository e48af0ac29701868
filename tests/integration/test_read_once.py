"""A context's files are read once: when they are copied, where nothing is known of the step; and then not again."""

from __future__ import annotations

import ctypes
import os
import struct
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from caches import EPOCH, Built, Machines
from jettison.app.build import build
from jettison.app.request import BuildRequest, CacheSource, CacheTarget
from jettison.base.errors import JettisonError
from jettison.record.model import AnyEvent, StepStarted
from jettison.store import results
from jettison.store.store import Store
from jettison.tree.stamp import is_settled, stamp_of

pytestmark = pytest.mark.root

IN_OPEN, IN_ISDIR = 0x20, 0x4000_0000
TREE = {"src/a": "one", "src/sub/b": "two", "src/sub/c.md": "three", "other": "four", "hidden": "five", "empty": ""}
EVERY_WAY = """\
# syntax=docker/dockerfile:1
FROM busybox AS first
COPY src /src
COPY --exclude=*.md src /excluded
COPY --parents src/./sub/b /parents/
COPY --chmod=600 --chown=5:7 other src/[a-b] /changed/
COPY --link empty link hard /linked/
FROM busybox
WORKDIR /to
COPY . .
COPY --from=named / /named/
COPY other <<EOF /mixed/
inline
EOF
ADD archive.tar /unpacked/
ADD src /added/
RUN --mount=type=bind,source=src,target=/m cat /m/a > /cat
COPY --from=first / /first/
COPY nothin[g] /nothing/
"""


@pytest.fixture
def site(tmp_path) -> Machines:
    made = Machines(str(tmp_path))
    for path, text in TREE.items():
        put(made, path, text)
    os.symlink("other", os.path.join(made.context, "link"))
    os.link(os.path.join(made.context, "other"), os.path.join(made.context, "hard"))
    made.write(Dockerfile="FROM busybox\nCOPY . /to\n", __dockerignore="hidden\nDockerfile\n")
    return made


def put(site: Machines, path: str, text: str) -> None:
    full = os.path.join(site.context, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)


@contextmanager
def opened(top: str) -> Iterator[Counter[str]]:
    """How often each file below `top` is opened meanwhile, by whatever process: complete when the block has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    notes = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    found: Counter[str] = Counter()
    watched = {
        libc.inotify_add_watch(notes, os.fsencode(directory), IN_OPEN): os.path.relpath(directory, top)
        for directory, _, _ in os.walk(top)
    }
    try:
        yield found
        for number, mask, name in events(notes):
            if name and not mask & IN_ISDIR:
                found[os.path.normpath(os.path.join(watched[number], name))] += 1
    finally:
        os.close(notes)


def events(notes: int) -> Iterator[tuple[int, int, str]]:
    """All that is waiting: watch, mask and name."""
    while True:
        try:
            data = os.read(notes, 1 << 20)
        except BlockingIOError:
            return
        while data:
            number, mask, _, length = struct.unpack_from("iIII", data)
            yield number, mask, os.fsdecode(data[16 : 16 + length].rstrip(b"\0"))
            data = data[16 + length :]


def grow_old(top: str) -> None:
    """Until every file's stamp tells of later changes."""
    for directory, _, names in os.walk(top):
        for name in names:
            stamp = stamp_of(os.lstat(os.path.join(directory, name)))
            while not is_settled(stamp, time.time_ns()):
                os.sched_yield()


def everything_known(site: Machines, machine: str) -> None:
    """A store in which there may be a result of every op: one that an unknown cache gave."""
    with Store.open(site.store(machine)) as store:
        results.adopt(store.index, "of some cache", results.SavedResult("", (), ()), ())


def keys(site: Machines, machine: str) -> set[str]:
    """What results are saved under."""
    with Store.open(site.store(machine)) as store:
        return {key for (key,) in store.index.rows("SELECT key FROM results")} - {"of some cache"}


def told(built: Built) -> list[tuple[object, ...]]:
    """What the record says of the steps' keys."""
    return [(step.id, step.verdict, step.hit, step.key, step.key_parts) for step in built.result.record.steps]


def test_a_cold_build_opens_every_file_once_and_the_next_one_none(site: Machines) -> None:
    grow_old(site.context)
    with opened(site.context) as cold:
        site.build("here")
    del cold["Dockerfile"], cold[".dockerignore"]
    assert cold.pop("hard", 0) + cold.pop("other", 0) == 1
    assert cold == {"src/a": 1, "src/sub/b": 1, "src/sub/c.md": 1}
    with opened(site.context) as warm:
        built = site.build("here")
    assert set(warm) <= {"Dockerfile", ".dockerignore"}
    assert built.ran == []


def test_a_store_that_may_know_the_step_reads_first(site: Machines) -> None:
    everything_known(site, "here")
    with opened(site.context) as cold:
        site.build("here")
    assert cold["src/a"] == 2


def test_a_cache_elsewhere_may_know_the_step_once_it_has_anything(site: Machines, tmp_path) -> None:
    place = str(tmp_path / "cache")
    of, to = CacheSource(type="local", src=place), CacheTarget(type="local", dest=place, mode="max")
    grow_old(site.context)
    with opened(site.context) as first:
        site.build("first", of=of, to=to)
    assert first["src/a"] == 1
    with opened(site.context) as second:
        built = site.build("second", of=of)
    assert second["src/a"] == 1
    assert built.ran == []
    site.write(Dockerfile="FROM busybox\nCOPY src /elsewhere\n")
    with opened(site.context) as third:
        site.build("third", of=of)
    assert third["src/a"] == 2


def test_keys_and_results_are_those_of_reading_first(site: Machines, tmp_path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    (named / "n").write_text("n")
    with tarfile.open(os.path.join(site.context, "archive.tar"), "w") as archive:
        archive.add(str(named), "in")
    os.setxattr(os.path.join(site.context, "src/a"), "user.note", b"1")
    site.write(Dockerfile=EVERY_WAY)
    grow_old(site.context)
    everything_known(site, "reads")
    built = {machine: site.archive(machine, contexts={"named": str(named)}) for machine in ("tells", "reads")}
    assert told(built["tells"]) == told(built["reads"])
    assert keys(site, "tells") == keys(site, "reads")
    assert built["tells"].digest == built["reads"].digest
    again = site.build("tells", contexts={"named": str(named)})
    assert {step.hit for step in again.result.record.steps if step.verdict != "unneeded"} <= {"definition", ""}
    assert again.ran == []


def test_a_file_that_changes_after_it_was_read_is_in_the_key_as_it_was_copied(site: Machines) -> None:
    def change(event: AnyEvent) -> None:
        if isinstance(event, StepStarted) and event.reason:
            put(site, "src/a", "changed")

    everything_known(site, "here")
    request = BuildRequest(
        context=site.context,
        build_contexts={"busybox": f"oci-layout://{site.base}"},
        store=site.store("here"),
        source_date_epoch=EPOCH,
    )
    late = Built(build(request, on_event=change), [])
    assert site.build("here").ran == []
    assert [row[3:] for row in told(late)] == [row[3:] for row in told(site.build("there"))]
    put(site, "src/a", TREE["src/a"])
    assert len(site.build("here").ran) == 1


def test_a_missing_file_is_told_before_anything_is_done(site: Machines) -> None:
    site.write(Dockerfile="FROM busybox\nRUN true\nCOPY nope /to\n")
    with pytest.raises(JettisonError, match='"/nope": not found') as failed:
        site.build("here")
    assert failed.value.location is not None
    assert keys(site, "here") == set()


def test_an_edit_after_a_cold_build_runs_and_says_what_changed(site: Machines) -> None:
    site.build("here")
    put(site, "src/a", "ONE")
    built = site.build("here")
    assert [step.reason for step in built.result.record.steps if step.verdict == "ran"] == ["src/a changed"]
