"""Caches elsewhere that are damaged, foreign or gone: what they had is built again."""

from __future__ import annotations

import os
import shutil

import pytest

from cached import STEPS, cache, local, machines, project_of, source
from caches import Built, Layout, Machines, StepFailed
from jettison.app.request import CacheSource, CacheTarget
from registries import serving

__all__ = ["cache", "machines"]

pytestmark = pytest.mark.root


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
