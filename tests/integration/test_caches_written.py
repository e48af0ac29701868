"""Caches elsewhere as they are written: what travels, what makes room, and those within an image."""

from __future__ import annotations

import subprocess

import pytest

from cached import cache, local, machines, source
from caches import Built, Layout, Machines
from jettison.app.request import CacheSource, CacheTarget, OutputSpec
from jettison.base.errors import HostError, NetworkError
from registries import serving

__all__ = ["cache", "machines"]

pytestmark = pytest.mark.root


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
