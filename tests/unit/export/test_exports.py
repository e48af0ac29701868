"""Exports: what is written is whole, has one form, and is what an independent reader finds."""

import io
import json
import os
import tarfile
import threading

import pytest

import images
from handmade import image_of
from jettison.base.digest import digest_of
from jettison.base.errors import HostError, InputError, UsageError
from jettison.export.docker_archive import familiar, write_docker_archive
from jettison.export.layout import tag_of, write_layout
from jettison.export.write import Blob, write_directory, write_tar

NAMES = ("docker.io/library/app:1", "registry.example/team/app:latest")


@pytest.fixture
def image(tmp_path):
    return image_of(str(tmp_path / "blobs"))


@pytest.mark.parametrize("as_tar", [True, False])
def test_a_layout_is_read_by_a_stranger(tmp_path, image, as_tar):
    dest = str(tmp_path / "deep" / "out")
    root = write_layout([image], NAMES, dest, as_tar=as_tar)
    assert root.digest == digest_of(image.manifest)
    found = images.read(dest, "1")
    assert found.config == json.loads(image.config)
    tree = found.tree()
    assert tree["home/a"] is tree["home/b"]
    assert "old" not in tree
    assert tree["bin/tool"]["mode"] == "4755"
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_several_names_are_several_entries(tmp_path, image):
    write_layout([image], NAMES, str(tmp_path / "out"), as_tar=False, annotations={"k": "v"})
    with open(tmp_path / "out" / "index.json", "rb") as file:
        entries = json.load(file)["manifests"]
    assert [entry["annotations"] for entry in entries] == [
        {"io.containerd.image.name": NAMES[0], "k": "v", "org.opencontainers.image.ref.name": "1"},
        {"io.containerd.image.name": NAMES[1], "k": "v", "org.opencontainers.image.ref.name": "latest"},
    ]
    assert {entry["digest"] for entry in entries} == {digest_of(image.manifest)}
    assert entries[0]["platform"] == {"architecture": "amd64", "os": "linux"}


def test_the_tar_has_one_form(tmp_path, image):
    for name in "ab":
        write_layout([image], NAMES, str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with tarfile.open(tmp_path / "a") as archive:
        names = archive.getnames()
        assert names == sorted(names)
        assert {member.mtime for member in archive} == {0}


def test_several_platforms_stand_under_one_index(tmp_path, image):
    other = image_of(str(tmp_path / "blobs"), architecture="arm64")
    root = write_layout([image, other], NAMES[:1], str(tmp_path / "out"), as_tar=False)
    with open(tmp_path / "out" / "index.json", "rb") as file:
        (entry,) = json.load(file)["manifests"]
    assert entry["digest"] == root.digest
    with open(tmp_path / "out" / "blobs" / "sha256" / root.digest[7:], "rb") as file:
        platforms = [item["platform"]["architecture"] for item in json.load(file)["manifests"]]
    assert platforms == ["amd64", "arm64"]


def test_a_layout_that_is_there_is_added_to(tmp_path, image):
    other = image_of(str(tmp_path / "blobs"), architecture="arm64")
    dest = str(tmp_path / "out")
    write_layout([image], NAMES, dest, as_tar=False)
    write_layout([other], NAMES[:1], dest, as_tar=False)
    write_layout([other], (), dest, as_tar=False)
    write_layout([other], (), dest, as_tar=False)
    with open(tmp_path / "out" / "index.json", "rb") as file:
        entries = json.load(file)["manifests"]
    assert [(entry["digest"], entry.get("annotations", {}).get("io.containerd.image.name")) for entry in entries] == [
        (digest_of(image.manifest), NAMES[1]),
        (digest_of(other.manifest), NAMES[0]),
        (digest_of(other.manifest), None),
    ]


def test_a_pipe_gets_the_same_bytes(tmp_path, image):
    write_layout([image], NAMES, str(tmp_path / "file"))
    reading, writing = os.pipe()
    got = io.BytesIO()
    with os.fdopen(reading, "rb") as source:
        thread = threading.Thread(target=lambda: got.write(source.read()))
        thread.start()
        write_layout([image], NAMES, writing)
        os.close(writing)
        thread.join()
    assert got.getvalue() == (tmp_path / "file").read_bytes()


def test_a_docker_archive_is_read_by_a_stranger(tmp_path, image):
    dest = str(tmp_path / "out.tar")
    root = write_docker_archive([image], NAMES, dest)
    with tarfile.open(dest) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))
        index = json.load(archive.extractfile("index.json"))
    assert entry["RepoTags"] == ["app:1", "registry.example/team/app:latest"]
    assert entry["Config"] == "blobs/sha256/" + digest_of(image.config)[7:]
    assert index["manifests"][0]["mediaType"] == root.media_type == images.read(dest, "1").manifest["mediaType"]
    assert root.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert images.read(dest, "1").tree()["bin/tool"]["size"] == 2_000_000


def test_a_docker_archive_holds_one_image(tmp_path, image):
    with pytest.raises(UsageError, match="does not currently support exporting manifest lists"):
        write_docker_archive([image, image], (), str(tmp_path / "out.tar"))


def test_a_blob_that_is_missing_or_short_leaves_no_export(tmp_path, image):
    os.truncate(image.layers[0].path, 10)
    for as_tar in (True, False):
        with pytest.raises(HostError, match=r"is not \d+ bytes long"):
            write_layout([image], (), str(tmp_path / "out"), as_tar=as_tar)
    os.unlink(image.layers[0].path)
    with pytest.raises(HostError, match="cannot write"):
        write_docker_archive([image], (), str(tmp_path / "out"))
    assert os.listdir(tmp_path) == ["blobs"]


def test_a_failed_export_leaves_what_was_there(tmp_path, image):
    dest = tmp_path / "out"
    dest.write_text("earlier")
    os.truncate(image.layers[0].path, 10)
    with pytest.raises(HostError):
        write_layout([image], (), str(dest))
    assert dest.read_text() == "earlier"


def test_a_tar_does_not_replace_a_directory(tmp_path, image):
    with pytest.raises(HostError, match="it is a directory"):
        write_layout([image], (), str(tmp_path))


def test_an_index_that_cannot_be_read_is_not_replaced(tmp_path, image):
    (tmp_path / "index.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        write_layout([image], (), str(tmp_path), as_tar=False)
    assert (tmp_path / "index.json").read_text() == "{"


def test_an_export_shares_no_inode_with_the_store(tmp_path):
    (tmp_path / "blob").write_bytes(b"abc")
    write_directory({"b": Blob(str(tmp_path / "blob"), 3)}, str(tmp_path / "out"))
    assert os.stat(tmp_path / "blob").st_nlink == 1
    with pytest.raises(HostError, match="is not 2 bytes long"):
        write_tar({"b": Blob(str(tmp_path / "blob"), 2)}, str(tmp_path / "out.tar"))


@pytest.mark.parametrize(
    ("name", "tag", "short"),
    [
        ("docker.io/library/app:1", "1", "app:1"),
        ("docker.io/me/app:1", "1", "me/app:1"),
        ("localhost:5000/app", "latest", "localhost:5000/app"),
        ("localhost:5000/app:2@sha256:" + "0" * 64, "2", "localhost:5000/app:2@sha256:" + "0" * 64),
    ],
)
def test_names(name, tag, short):
    assert (tag_of(name), familiar(name)) == (tag, short)
