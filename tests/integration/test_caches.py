"""Caches elsewhere: what one machine built another finds; what is damaged, foreign or gone is built again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

import images
from caches import Built, Layout, Machines, StepFailed
from jettison.app.request import CacheSource, CacheTarget, OutputSpec
from jettison.base.errors import HostError, NetworkError
from project import Project
from registries import serving
from users import User, ordinary_user

__all__ = ["ordinary_user"]

pytestmark = pytest.mark.root

DOCKERFILE = """\
FROM busybox AS build
RUN mkdir /out && echo built > /out/a && ln /out/a /out/b && cp /bin/busybox /out/tool && chown 12:34 /out/tool
COPY given /out/given
FROM busybox
WORKDIR /app
RUN echo one > one && mkdir sub && echo old > sub/old && ln -s one link && chmod 4750 one
COPY --from=build /out /app/out
RUN rm -r sub && rm out/given && mkdir sub && mkfifo sub/pipe && test -e link
CMD ["sh"]
"""
STEPS = 6  # of both stages; the base's are not counted


def project_of(folder) -> Machines:
    made = Machines(str(folder))
    made.write(Dockerfile=DOCKERFILE, given="given\n")
    return made


@pytest.fixture
def machines(tmp_path) -> Machines:
    return project_of(tmp_path)


@pytest.fixture
def cache(tmp_path) -> Layout:
    return Layout(str(tmp_path / "cache"))


def local(cache: Layout, **more) -> CacheTarget:
    return CacheTarget(type="local", dest=cache.directory, **more)


def source(cache: Layout, **more) -> CacheSource:
    return CacheSource(type="local", src=cache.directory, **more)


def cached(built: Built) -> list[str]:
    return [display for display, verdict in built.verdicts.items() if verdict == "cached"]


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


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Layout, Built]:
    """A cache that is copied before it is damaged, and what a cold build gives."""
    folder = tmp_path_factory.mktemp("original")
    cache = Layout(str(folder / "cache"))
    return cache, project_of(folder / "machines").archive("a", to=local(cache, mode="max"))


class TestDamage:
    """Never a wrong image: what is wrong is told, and built."""

    @pytest.fixture
    def good(self, original: tuple[Layout, Built], cache: Layout) -> Built:
        shutil.copytree(original[0].directory, cache.directory)
        return original[1]

    @pytest.mark.parametrize("number", range(6))
    def test_a_damaged_blob(self, machines: Machines, cache: Layout, good: Built, number: int) -> None:
        cache.damage(cache.layers()[number])
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert not there.of(StepFailed)

    def test_all_blobs_damaged(self, machines: Machines, cache: Layout, good: Built) -> None:
        for digest in cache.layers():
            cache.damage(digest)
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert any("it is built again" in text for text in there.warnings)
        assert len(there.ran) == STEPS

    def test_all_blobs_gone(self, machines: Machines, cache: Layout, good: Built) -> None:
        for digest in cache.layers():
            os.unlink(cache.path(digest))
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert not there.of(StepFailed)

    def test_a_layer_that_is_another_one(self, machines: Machines, cache: Layout, good: Built) -> None:
        """A document whose digests are right and which lies all the same."""

        def swap(document) -> None:
            own = [layer for layer in document["layers"] if "blob" in layer]
            own[-1]["blob"], own[-2]["blob"] = own[-2]["blob"], own[-1]["blob"]

        cache.redo(swap)
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert any("it is built again" in text for text in there.warnings)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda document: document.update(keyVersion="0"), "another version"),
            (lambda document: document.update(schema=2), "another version"),
            (lambda document: document["results"][0].update(layers=[99]), "damaged"),
            (lambda document: document["layers"][0].update(diffId="sha256:00"), "damaged"),
            (lambda document: document.update(layers="none"), "damaged"),
            (lambda _: b'{"schema": 1, "keyVersion": "1", "layers": [', "damaged"),
            (lambda _: b"\xff\xfe", "damaged"),
            (lambda _: b"[" * 100_000, "damaged"),
        ],
    )
    def test_a_document_that_is_none(self, machines: Machines, cache: Layout, good: Built, change, words) -> None:
        cache.redo(change)
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert [text for text in there.warnings if "is not used" in text and words in text]
        assert len(there.ran) == STEPS

    def test_a_damaged_document(self, machines: Machines, cache: Layout, good: Built) -> None:
        cache.damage(cache.manifest["config"]["digest"])
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert any("is not used" in text for text in there.warnings)

    @pytest.mark.parametrize("name", ["index.json", "manifest"])
    def test_a_truncated_manifest(self, machines: Machines, cache: Layout, good: Built, name: str) -> None:
        path = os.path.join(cache.directory, name) if name == "index.json" else cache.path(cache.entries[0]["digest"])
        os.truncate(path, os.path.getsize(path) // 2)
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert any("is not used" in text for text in there.warnings)

    def test_a_cache_of_another_builder(self, machines: Machines, cache: Layout, good: Built) -> None:
        cache.redo(lambda _: b"{}", "application/vnd.buildkit.cacheconfig.v0")
        there = machines.archive("b", of=source(cache))
        assert there.digest == good.digest
        assert any("BuildKit" in text for text in there.warnings)

    def test_what_is_no_cache_at_all(self, machines: Machines) -> None:
        there = machines.build("b", of=CacheSource(type="local", src=machines.base))
        assert any("carries no cache" in text for text in there.warnings)
        assert len(there.ran) == STEPS

    def test_what_was_to_be_fetched_later_and_is_gone(self, machines: Machines, cache: Layout, good: Built) -> None:
        machines.build("b", of=source(cache))
        shutil.rmtree(cache.directory)
        there = machines.archive("b")
        assert there.digest == good.digest
        assert len(there.ran) == STEPS
        assert machines.archive("b").warnings == []

    def test_what_is_gone_is_left_out_of_the_next_cache(
        self, machines: Machines, cache: Layout, good: Built, tmp_path
    ) -> None:
        other = Layout(str(tmp_path / "other"))
        for digest in cache.layers():
            cache.damage(digest)
        there = machines.build("b", of=source(cache), to=local(other, mode="max"))
        assert any("left out of the cache" in text for text in there.warnings)
        assert other.layers() == []


@pytest.mark.peer
def test_a_registry_that_is_down(machines: Machines) -> None:
    there = machines.build("b", of=CacheSource(type="registry", ref="127.0.0.1:1/app:cache"))
    assert any("connection refused" in text for text in there.warnings)
    assert len(there.ran) == STEPS


@pytest.mark.peer
def test_a_registry_that_is_gone_when_bytes_are_needed(machines: Machines, tmp_path) -> None:
    with serving(str(tmp_path)) as address:
        ref = f"{address}/app:cache"
        good = machines.archive("a", to=CacheTarget(type="registry", ref=ref))
        machines.build("b", of=CacheSource(type="registry", ref=ref))
        missing = machines.build("c", of=CacheSource(type="registry", ref=f"{address}/app:none"))
        assert any("MANIFEST_UNKNOWN" in text for text in missing.warnings)
    there = machines.archive("b")
    assert there.digest == good.digest


def test_what_no_layer_can_say_does_not_travel(machines: Machines, cache: Layout) -> None:
    machines.write(Dockerfile="FROM busybox\nRUN echo a > /a\nRUN chmod 1777 /\nRUN stat -c %a / > /mode\n")
    good = machines.archive("a", to=local(cache, mode="max"))
    assert any("left out of the cache" in text and "root directory" in text for text in good.warnings)
    there = machines.archive("b", of=source(cache))
    assert len(there.ran) == 2
    assert there.digest == good.digest
    assert there.image.file("mode") == b"1777\n"


class TestWriting:
    def test_an_old_cache_makes_room(self, machines: Machines, cache: Layout) -> None:
        machines.build("a", to=local(cache, mode="max"))
        old = set(cache.files())
        machines.write(given="other\n")
        machines.build("a", to=local(cache, mode="max"))
        named = {digest.removeprefix("sha256:") for digest in (*cache.layers(), cache.manifest["config"]["digest"])}
        assert set(cache.files()) == named | {cache.entries[0]["digest"].removeprefix("sha256:")}
        assert old - set(cache.files())

    def test_tags_and_images_stand_side_by_side(self, machines: Machines, cache: Layout) -> None:
        output = OutputSpec(type="oci", dest=cache.directory, as_tar=False, names=("app:latest",))
        machines.build("a", output=output)
        machines.build("a", to=(local(cache), local(cache, tag="all", mode="max")))
        machines.build("a", to=local(cache))
        assert len(cache.entries) == 3
        assert machines.build("b", of=source(cache, tag="all")).ran == []
        assert machines.build("c", of=source(cache, digest=cache.entries[-1]["digest"])).ran == []
        marked = [entry for entry in cache.entries if "dev.jettison.cache" in entry["annotations"]]
        assert len(marked) == 2

    def test_a_damaged_blob_is_written_anew(self, machines: Machines, cache: Layout) -> None:
        machines.build("a", to=local(cache))
        cache.damage(cache.layers()[0])
        machines.build("a", to=local(cache))
        assert machines.archive("b", of=source(cache)).warnings == []

    @pytest.mark.parametrize("compression", ["zstd", "uncompressed"])
    def test_other_compressions(self, machines: Machines, cache: Layout, compression: str) -> None:
        good = machines.archive("a", to=local(cache, compression=compression))
        assert all(
            layer["mediaType"].endswith({"zstd": "+zstd", "uncompressed": ".tar"}[compression])
            for layer in cache.manifest["layers"]
        )
        assert machines.archive("b", of=source(cache)).digest == good.digest

    def test_failing_is_an_error(self, machines: Machines, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        target = CacheTarget(type="local", dest=str(tmp_path / "file" / "below"))
        with pytest.raises(HostError):
            machines.build("a", to=target)

    def test_unless_it_is_to_be_ignored(self, machines: Machines) -> None:
        target = CacheTarget(type="registry", ref="127.0.0.1:1/app:cache", ignore_error=True)
        built = machines.build("a", to=target)
        assert any("was not written" in text for text in built.warnings)
        with pytest.raises(NetworkError):
            machines.build("a", to=CacheTarget(type="registry", ref="127.0.0.1:1/app:cache"))


class TestInline:
    def test_in_an_image_of_a_layout(self, machines: Machines, cache: Layout) -> None:
        output = OutputSpec(type="oci", dest=cache.directory, as_tar=False)
        here = machines.build("a", to=CacheTarget(type="inline"), output=output)
        there = machines.build("b", of=source(cache), to=CacheTarget(type="inline"))
        assert there.ran == []
        assert there.id == here.id

    def test_with_times_rewritten(self, machines: Machines, cache: Layout) -> None:
        output = OutputSpec(type="oci", dest=cache.directory, as_tar=False, rewrite_timestamp=True)
        machines.build("a", to=CacheTarget(type="inline"), output=output)
        there = machines.archive("b", of=source(cache), to=CacheTarget(type="inline"))
        assert there.ran == []
        assert machines.archive("cold", to=CacheTarget(type="inline")).digest == there.digest

    def test_a_warm_image_is_a_cold_one(self, machines: Machines) -> None:
        ids = [machines.archive(name, build_args={"BUILDKIT_INLINE_CACHE": "1"}).digest for name in ("a", "a", "b")]
        assert len(set(ids)) == 1
        assert machines.archive("a").digest != ids[0]

    @pytest.mark.peer
    def test_in_an_image_of_a_registry(self, machines: Machines, tmp_path) -> None:
        archive = str(tmp_path / "app.tar")
        machines.build("a", to=CacheTarget(type="inline"), output=OutputSpec(type="oci", dest=archive), epoch=None)
        with serving(str(tmp_path)) as address:
            command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
            subprocess.run([*command, f"oci-archive:{archive}", f"docker://{address}/app:1"], check=True)
            source = CacheSource(type="registry", ref=f"{address}/app:1")
            there = machines.build("b", of=source, output=OutputSpec(type="oci", dest=f"{archive}.b"), epoch=None)
        assert there.ran == []
        found, made = there.image, Built(there.result, [], archive).image
        assert found.config["history"] == made.config["history"]
        assert found.config["rootfs"] == made.config["rootfs"]


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
