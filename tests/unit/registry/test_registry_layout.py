"""Layout directories and unpacked docker saves: what is meant, and what hostile ones try."""

from __future__ import annotations

import io
import json
import os

import pytest

from fakes.registry import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, describe, sha, to_json
from jettison.base.errors import Cancelled, InputError
from jettison.oci.documents import Descriptor
from jettison.oci.platform import parse_platform
from jettison.registry.layout import open_layout

AMD64 = parse_platform("linux/amd64")


class Maker:
    """Writes a layout directory, honest or not."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.entries: list[dict] = []
        os.makedirs(os.path.join(directory, "blobs", "sha256"))
        self.finish()

    def path(self, digest: str) -> str:
        return os.path.join(self.directory, "blobs", "sha256", digest[7:])

    def blob(self, data: bytes, media_type: str, **more) -> dict:
        with open(self.path(sha(data)), "wb") as file:
            file.write(data)
        return describe(data, media_type, **more)

    def image(self, *, architecture: str = "amd64", layer: bytes = b"layer", config_type: str = OCI_CONFIG) -> dict:
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha(b"tar of " + layer)]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(to_json(config), config_type),
            "layers": [self.blob(layer, OCI_LAYER)],
        }
        return self.blob(to_json(manifest), OCI_MANIFEST)

    def name(self, entry: dict, tag: str | None = None, platform: str | None = None, **annotations: str) -> dict:
        entry = dict(entry)
        if tag is not None:
            annotations["org.opencontainers.image.ref.name"] = tag
        if annotations:
            entry["annotations"] = annotations
        if platform is not None:
            entry["platform"] = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
        self.entries.append(entry)
        self.finish()
        return entry

    def index(self, entries: list[dict]) -> dict:
        return self.blob(to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}), OCI_INDEX)

    def finish(self) -> None:
        with open(os.path.join(self.directory, "index.json"), "w") as file:
            json.dump({"schemaVersion": 2, "manifests": self.entries}, file)


@pytest.fixture
def maker(tmp_path) -> Maker:
    return Maker(str(tmp_path / "lay:out"))


def resolve(text: str, platform=AMD64):
    layout, name = open_layout(text)
    return layout.resolve(name, platform)


def fetch(text: str, descriptor: Descriptor, cancel=None) -> bytes:
    layout, name = open_layout(text)
    sink = io.BytesIO()
    layout.fetch_blob(name, descriptor, sink, cancel=cancel)
    return sink.getvalue()


def test_the_only_image_needs_no_name(maker: Maker) -> None:
    entry = maker.name(maker.image())
    image = resolve(f"oci-layout://{maker.directory}")
    assert image.digest == entry["digest"]
    assert sha(image.config) == image.config_digest
    assert fetch(maker.directory, image.layers[0]) == b"layer"


def test_tags_and_digests(maker: Maker) -> None:
    one = maker.name(maker.image(layer=b"1"), "one")
    two = maker.name(maker.image(layer=b"2"), **{"io.containerd.image.name": "docker.io/library/x:two"})
    latest = maker.name(maker.image(layer=b"3"), "latest")
    assert resolve(f"{maker.directory}:one").digest == one["digest"]
    assert resolve(f"oci-layout://{maker.directory}:two").digest == two["digest"]
    assert resolve(maker.directory).digest == latest["digest"]
    assert resolve(f"{maker.directory}@{one['digest']}").digest == one["digest"]
    assert resolve(f"{maker.directory}:two@{one['digest']}").digest == one["digest"]
    with pytest.raises(InputError, match="no image is tagged three") as caught:
        resolve(f"{maker.directory}:three")
    assert "latest, one, two" in caught.value.hint


def test_several_without_a_name_are_told_apart_by_platform(maker: Maker) -> None:
    maker.name(maker.image(architecture="arm64"), platform="linux/arm64")
    amd = maker.name(maker.image(), platform="linux/amd64")
    assert resolve(maker.directory).digest == amd["digest"]
    with pytest.raises(InputError, match="holds 2 images"):
        resolve(maker.directory, parse_platform("linux/s390x"))


def test_an_index_inside(maker: Maker) -> None:
    amd = {**maker.image(), "platform": {"os": "linux", "architecture": "amd64"}}
    arm = {**maker.image(architecture="arm64"), "platform": {"os": "linux", "architecture": "arm64"}}
    index = maker.name(maker.index([arm, amd]), "latest")
    image = resolve(maker.directory)
    assert (image.digest, image.index_digest) == (amd["digest"], index["digest"])
    with pytest.raises(InputError, match="linux/s390x is not among linux/arm64, linux/amd64"):
        resolve(maker.directory, parse_platform("linux/s390x"))


def test_statements_are_no_images(maker: Maker) -> None:
    image = maker.name(maker.image())
    maker.name(maker.image(layer=b"x"), **{"vnd.docker.reference.type": "attestation-manifest"})
    assert resolve(maker.directory).digest == image["digest"]


@pytest.mark.parametrize("text", ["", "oci-layout://", ":tag"])
def test_no_directory_is_named(text: str) -> None:
    with pytest.raises(InputError, match="names no directory"):
        open_layout(text)


def test_what_is_no_layout_is_said(tmp_path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        open_layout(str(tmp_path / "none"))
    with pytest.raises(InputError, match="no OCI image layout"):
        open_layout(str(tmp_path))


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha256:" + "A" * 64, "sha512:" + "a" * 128])
def test_a_digest_names_a_file_and_nothing_else_does(maker: Maker, digest: str) -> None:
    maker.name({**maker.image(), "digest": digest})
    with pytest.raises(InputError, match="not a sha256 digest"):
        resolve(maker.directory)
    with pytest.raises(InputError):
        resolve(f"{maker.directory}@{digest}")


def test_no_link_leads_out(maker: Maker, tmp_path) -> None:
    entry = maker.name(maker.image())
    layer = resolve(maker.directory).layers[0]
    outside = tmp_path / "outside"
    outside.write_bytes(b"layer")
    os.unlink(maker.path(layer.digest))
    os.symlink(outside, maker.path(layer.digest))
    with pytest.raises(InputError, match="leads out of the directory"):
        fetch(maker.directory, layer)
    os.rename(maker.path(entry["digest"]), tmp_path / "manifest")
    os.symlink("../../../manifest", maker.path(entry["digest"]))
    with pytest.raises(InputError, match="leads out of the directory"):
        resolve(maker.directory)


def test_a_link_inside_is_followed(maker: Maker) -> None:
    maker.name(maker.image())
    layer = resolve(maker.directory).layers[0]
    os.rename(maker.path(layer.digest), maker.path(layer.digest) + ".moved")
    os.symlink(os.path.basename(maker.path(layer.digest)) + ".moved", maker.path(layer.digest))
    assert fetch(maker.directory, layer) == b"layer"


def test_a_pipe_does_not_hang(maker: Maker) -> None:
    maker.name(maker.image())
    layer = resolve(maker.directory).layers[0]
    os.unlink(maker.path(layer.digest))
    os.mkfifo(maker.path(layer.digest))
    with pytest.raises(InputError, match="is no file"):
        fetch(maker.directory, layer)


@pytest.mark.parametrize(
    ("data", "words"), [(b"lay", "3 bytes, the manifest says 5"), (b"layers", "larger"), (b"LAYER", "another digest")]
)
def test_a_damaged_layer_is_found_out(maker: Maker, data: bytes, words: str) -> None:
    maker.name(maker.image())
    layer = resolve(maker.directory).layers[0]
    with open(maker.path(layer.digest), "wb") as file:
        file.write(data)
    with pytest.raises(InputError, match=words):
        fetch(maker.directory, layer)


def test_damaged_and_endless_documents(maker: Maker) -> None:
    entry = maker.name(maker.image())
    path = maker.path(entry["digest"])
    with open(path, "ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match="is damaged"):
        resolve(maker.directory)
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse: a whole read of it would take the machine's memory
    with pytest.raises(InputError, match="larger than"):
        resolve(maker.directory)
    with open(os.path.join(maker.directory, "index.json"), "w") as file:
        file.write("[" * 100_000)
    with pytest.raises(InputError):
        resolve(maker.directory)


def test_reading_stops_when_asked(maker: Maker) -> None:
    class Asked:
        def is_set(self) -> bool:
            return True

    maker.name(maker.image())
    layer = resolve(maker.directory).layers[0]
    with pytest.raises(Cancelled):
        fetch(maker.directory, layer, cancel=Asked())


def save(directory, images: list[tuple[str, bytes]], **changes) -> None:
    """As `docker save` packs them, without an index.json."""
    documents = []
    for name, layer in images:
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha(layer)]},
        }
        (directory / f"{name}.json").write_bytes(to_json(config))
        (directory / name).mkdir(parents=True)
        (directory / name / "layer.tar").write_bytes(layer)
        entry = {"Config": f"{name}.json", "RepoTags": [f"app:{name}"], "Layers": [f"{name}/layer.tar"]}
        documents.append({**entry, **changes})
    (directory / "manifest.json").write_bytes(to_json(documents))


def test_an_unpacked_docker_save(tmp_path) -> None:
    save(tmp_path, [("one", b"1"), ("two", b"2")])
    image = resolve(f"{tmp_path}:two")
    assert sha(image.manifest) == image.digest
    assert [(layer.digest, layer.size) for layer in image.layers] == [(sha(b"2"), 1)]
    assert fetch(str(tmp_path), image.layers[0]) == b"2"
    with pytest.raises(InputError, match="holds 2 images") as caught:
        resolve(str(tmp_path))
    assert "app:one, app:two" in caught.value.hint
    with pytest.raises(InputError, match="no image has the layer"):
        fetch(str(tmp_path), Descriptor(media_type="", digest=sha(b"3"), size=1))


@pytest.mark.parametrize(
    "changes", [{"Layers": ["../../etc/passwd"]}, {"Config": "/etc/passwd"}, {"Layers": []}, {"Config": 3}]
)
def test_a_hostile_docker_save(tmp_path, changes) -> None:
    save(tmp_path, [("one", b"1")], **changes)
    with pytest.raises(InputError):
        resolve(str(tmp_path))
