"""Caches elsewhere: what one machine built another finds."""

from __future__ import annotations

import json
import os
import shutil

import pytest

import images
from cached import DOCKERFILE, STEPS, cache, local, machines, source
from caches import Layout, Machines
from jettison.app.request import CacheSource, CacheTarget
from project import Project
from registries import serving
from users import User, ordinary_user

__all__ = ["cache", "machines", "ordinary_user"]

pytestmark = pytest.mark.root


@pytest.mark.parametrize("mode", ["min", "max"])
def test_another_machine_runs_nothing(machines: Machines, cache: Layout, mode: str) -> None:
    here = machines.archive("a", to=local(cache, mode=mode))
    there = machines.archive("b", of=source(cache))
    assert len(here.ran) == STEPS
    assert there.ran == []
    assert there.warnings == []
    assert there.digest == here.digest
    assert len(cache.layers()) == {"min": 4, "max": 6}[mode]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.peer
def test_through_a_registry(machines: Machines, tmp_path, mode: str) -> None:
    with serving(str(tmp_path)) as address:
        ref = f"{address}/team/app:cache"
        here = machines.archive("a", to=CacheTarget(type="registry", ref=ref, mode=mode))
        machines.build("a", to=CacheTarget(type="registry", ref=ref, mode=mode))  # nothing to send
        there = machines.archive("b", of=CacheSource(type="registry", ref=ref))
    assert there.ran == []
    assert there.digest == here.digest


def test_without_an_epoch_the_image_is_the_same_too(machines: Machines, cache: Layout) -> None:
    here = machines.build("a", to=local(cache), epoch=None)
    there = machines.build("b", of=source(cache), epoch=None)
    assert there.ran == []
    assert there.id == here.id


def test_only_documents_are_fetched_while_nobody_needs_bytes(machines: Machines, cache: Layout) -> None:
    here = machines.build("a", to=local(cache, mode="max"))
    there = machines.build("b", of=source(cache), tags=("app",))
    assert there.id == here.id
    assert machines.snapshots("b") == []
    assert not {digest.removeprefix("sha256:") for digest in cache.layers()} & set(machines.blobs("b"))


def test_a_cache_is_not_even_read_while_all_is_here(machines: Machines, cache: Layout) -> None:
    machines.build("a")
    again = machines.build("a", of=source(cache))  # there is no such directory
    assert again.warnings == []
    assert again.ran == []


def test_steps_go_on_from_layers_that_were_made_elsewhere(machines: Machines, cache: Layout) -> None:
    machines.archive("a", to=local(cache, mode="max"))
    more = "RUN echo more >> one && stat -c '%n %a %u %g %F' / /app /app/* /app/*/* > /list\n"
    machines.write(Dockerfile=DOCKERFILE + more)
    there = machines.archive("b", of=source(cache))
    assert len(there.ran) == 1
    assert machines.archive("cold").digest == there.digest


def test_a_stage_that_changed_without_effect_is_all_that_runs(machines: Machines, cache: Layout) -> None:
    machines.build("a", to=local(cache, mode="max"))
    machines.write(Dockerfile=DOCKERFILE.replace("echo built", "true && echo built"))
    there = machines.build("b", of=source(cache))
    assert [display.partition("]")[0] for display in there.ran] == ["[build 2/3"]


def test_what_was_imported_is_exported_again(machines: Machines, cache: Layout, tmp_path) -> None:
    here = machines.archive("a", to=local(cache, mode="max"))
    other = Layout(str(tmp_path / "other"))
    machines.build("b", of=source(cache), to=local(other, mode="max"))
    shutil.rmtree(cache.directory)
    there = machines.archive("c", of=source(other))
    assert there.ran == []
    assert there.digest == here.digest


def test_a_build_that_finds_all_writes_the_same_cache(machines: Machines, cache: Layout, tmp_path) -> None:
    machines.build("a", to=local(cache, mode="max"))
    before = cache.document
    machines.build("b", of=source(cache), to=local(cache, mode="max"))
    assert cache.document == before


def test_results_found_elsewhere_are_known_from_then_on(machines: Machines, cache: Layout) -> None:
    machines.archive("a", to=local(cache))
    machines.archive("b", of=source(cache))
    shutil.rmtree(cache.directory)
    again = machines.archive("b")
    assert again.ran == []
    assert again.warnings == []


def test_no_cache_runs_everything(machines: Machines, cache: Layout) -> None:
    machines.build("a", to=local(cache, mode="max"))
    assert len(machines.build("b", of=source(cache), no_cache=True).ran) == STEPS


def test_the_first_cache_that_has_it_is_taken(machines: Machines, cache: Layout, tmp_path) -> None:
    machines.build("a", to=local(cache, mode="max"))
    missing = CacheSource(type="local", src=str(tmp_path / "none"))
    there = machines.build("b", of=(missing, source(cache)))
    assert there.ran == []
    assert [text for text in there.warnings if "no such directory" in text]


MOUNTED = """\
FROM busybox
ARG N=1
RUN --mount=type=cache,target=/c,id=tools echo $N >> /c/log && cp /c/log /log
"""


class TestMounts:
    @pytest.fixture
    def machines(self, tmp_path) -> Machines:
        made = Machines(str(tmp_path))
        made.write(Dockerfile=MOUNTED)
        return made

    def log(self, machines: Machines, machine: str, number: int, **more) -> str:
        return machines.archive(machine, build_args={"N": str(number)}, **more).image.file("log").decode()

    def test_they_travel(self, machines: Machines, cache: Layout) -> None:
        assert self.log(machines, "a", 1, to=local(cache, mounts=True)) == "1\n"
        assert self.log(machines, "b", 2, of=source(cache)) == "1\n2\n"
        assert self.log(machines, "b", 3, of=source(cache)) == "1\n2\n3\n"
        assert self.log(machines, "c", 4) == "4\n"

    @pytest.mark.peer
    def test_through_a_registry(self, machines: Machines, tmp_path) -> None:
        with serving(str(tmp_path)) as address:
            ref = f"{address}/app:cache"
            self.log(machines, "a", 1, to=CacheTarget(type="registry", ref=ref, mounts=True))
            assert self.log(machines, "b", 2, of=CacheSource(type="registry", ref=ref)) == "1\n2\n"

    def test_not_unless_they_are_asked_to(self, machines: Machines, cache: Layout) -> None:
        self.log(machines, "a", 1, to=local(cache))
        assert self.log(machines, "b", 2, of=source(cache)) == "2\n"

    def test_what_is_here_wins(self, machines: Machines, cache: Layout) -> None:
        self.log(machines, "a", 1, to=local(cache, mounts=True))
        self.log(machines, "b", 5)
        assert self.log(machines, "b", 6, of=source(cache)) == "5\n6\n"

    def test_one_that_nobody_used_goes_on(self, machines: Machines, cache: Layout, tmp_path) -> None:
        self.log(machines, "a", 1, to=local(cache, mounts=True))
        other = Layout(str(tmp_path / "other"))
        there = machines.build("b", of=source(cache), to=local(other, mounts=True), build_args={"N": "1"})
        assert there.ran == []
        assert self.log(machines, "c", 2, of=source(other)) == "1\n2\n"

    def test_a_damaged_one_begins_empty(self, machines: Machines, cache: Layout) -> None:
        self.log(machines, "a", 1, to=local(cache, mounts=True))
        cache.damage(cache.document["mounts"][0]["blob"]["digest"])
        there = machines.archive("b", of=source(cache), build_args={"N": "2"})
        assert there.image.file("log") == b"2\n"
        assert any("begins empty" in text for text in there.warnings)

    def test_one_that_is_no_archive_begins_empty(self, machines: Machines, cache: Layout) -> None:
        self.log(machines, "a", 1, to=local(cache, mounts=True))
        data = b"no archive at all"
        blob = {"mediaType": "x", "digest": cache.put(data), "size": len(data)}
        cache.redo(lambda document: document["mounts"][0].update(blob=blob))
        there = machines.archive("b", of=source(cache), build_args={"N": "2"})
        assert there.image.file("log") == b"2\n"
        assert any("begins empty" in text for text in there.warnings)


def test_several_platforms_share_a_cache(machines: Machines, cache: Layout) -> None:
    machines.write(Dockerfile="FROM scratch\nARG TARGETARCH\nCOPY given /$TARGETARCH\n")
    both = ("linux/amd64", "linux/arm64")
    good = machines.archive("a", to=local(cache), platforms=both)
    there = machines.archive("b", of=source(cache), platforms=both)
    assert (there.ran, there.digest) == ([], good.digest)
    assert machines.archive("c", of=source(cache), platforms=both[1:]).ran == []


def test_the_command_line(machines: Machines, cache: Layout, tmp_path) -> None:
    project = Project(str(tmp_path / "project")).base()
    project.files(Dockerfile=DOCKERFILE, given="given\n")
    project.build(f"--cache-to=type=local,dest={cache.directory},mode=max").ok()
    project.store = str(tmp_path / "other")
    done = project.build(f"--cache-from=type=local,src={cache.directory}").ok()
    assert done.stderr.count("CACHED") == STEPS + 1
    assert json.loads(cache.read(cache.manifest["config"]["digest"]))["schema"] == 1


def test_root_and_an_ordinary_user_share_a_cache(ordinary_user: User) -> None:
    """Owners, mounts and all, both ways; the user goes on from what root made."""
    theirs = ordinary_user.project("cached")
    ordinary_user.base(theirs)
    mounted = "RUN --mount=type=cache,target=/c,id=t echo x >> /c/log && chown 7:8 /c/log && cp -p /c/log /log\n"
    theirs.files(Dockerfile=DOCKERFILE + mounted, given="given\n")
    ordinary_user.own(theirs.folder)
    cache, back = (os.path.join(theirs.folder, name) for name in ("cache", "back"))
    own = Project(os.path.join(theirs.folder, "root"))
    own.bases, own.context = theirs.bases, theirs.context
    epoch = {"SOURCE_DATE_EPOCH": "1700000000"}
    archives = [os.path.join(theirs.out, name) for name in ("root.tar", "user.tar", "again.tar")]
    outputs = [f"--output=type=oci,dest={path},rewrite-timestamp=true" for path in archives]
    own.build(outputs[0], f"--cache-to=type=local,dest={cache},mode=max,mounts=true", variables=epoch).ok()
    ordinary_user.own(theirs.folder)
    found = theirs.build(outputs[1], f"--cache-from=type=local,src={cache}", variables=epoch).ok()
    assert found.stderr.count("CACHED") == STEPS + 2
    theirs.write(
        "Dockerfile", DOCKERFILE + mounted.replace("echo x", "echo y") + "RUN stat -c %u:%g out/tool > /owner\n"
    )
    ordinary_user.own(theirs.context)
    flags = (f"--cache-from=type=local,src={cache}", f"--cache-to=type=local,dest={back},mode=max,mounts=true")
    theirs.build(outputs[2], *flags, variables=epoch).ok()
    first, second, third = (images.read(path) for path in archives)
    assert (first.config, first.manifest) == (second.config, second.manifest)
    assert third.file("log") == b"x\ny\n"
    assert third.tree()["log"]["uid"] == 7
    assert third.file("owner") == b"12:34\n"
    own.store = os.path.join(own.folder, "fresh")
    done = own.build(f"--cache-from=type=local,src={back}", variables=epoch).ok()
    assert "DONE" not in done.stderr


def test_what_a_min_cache_has_of_a_stage_that_runs_again_is_not_mixed_with_it(
    machines: Machines, cache: Layout
) -> None:
    made = "FROM busybox AS a\nRUN cat /proc/sys/kernel/random/uuid > /made\nFROM busybox\nCOPY --from=a /made /first\n"
    machines.write(Dockerfile=made)
    machines.build("one", to=local(cache))
    assert machines.build("two", of=source(cache)).ran == []
    machines.write(Dockerfile=made + "COPY --from=a /made /second\nRUN cmp /first /second\n")
    assert len(machines.build("three", of=source(cache)).ran) == 4
