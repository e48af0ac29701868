"""pack: a snapshot becomes one blob under its digest, the same every time, or nothing."""

import gzip
import hashlib
import io
import os
import tarfile

import pytest
from snapshots import snapshot

from jettison.base.errors import HostError
from jettison.layer.pack import pack
from jettison.tree.row import DELETED, DIR, FILE, SYMLINK, Row

SECOND = 1_000_000_000
ROWS = [
    Row("a", DIR, 0o700, 5, 6, mtime_ns=9 * SECOND),
    Row("a/big", FILE, 0o644, size=3_000_000, mtime_ns=7 * SECOND),
    Row("a/h", FILE, 0o644, size=3_000_000, link="a/big", mtime_ns=7 * SECOND),
    Row("a/link", SYMLINK, 0o777, target="big"),
    Row("empty", FILE, 0o644),
    Row("gone", DELETED),
]


def test_a_layer_is_named_by_its_digest_and_sums_are_right(tmp_path):
    made = pack(snapshot(tmp_path / "s", ROWS), str(tmp_path))
    blob = (tmp_path / made.digest[7:]).read_bytes()
    tar = gzip.decompress(blob)
    assert made.digest == "sha256:" + hashlib.sha256(blob).hexdigest()
    assert made.diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    assert (made.size_bytes, made.tar_bytes) == (len(blob), len(tar))
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == ["a", "a/big", "a/h", "a/link", "empty", ".wh.gone"]
        assert archive.extractfile("a/h").read() == b"x" * 3_000_000
    assert sorted(os.listdir(tmp_path)) == sorted(["s", made.digest[7:]])


@pytest.mark.parametrize("compression", ["zstd", "uncompressed"])
def test_the_diff_id_is_the_same_however_it_is_packed(tmp_path, compression):
    source = snapshot(tmp_path / "s", ROWS)
    made = pack(source, str(tmp_path), compression)
    only_sums = pack(source, "")
    assert made.diff_id == pack(source, str(tmp_path)).diff_id == only_sums.diff_id
    assert (only_sums.digest, only_sums.size_bytes) == ("", 0)
    assert os.path.getsize(tmp_path / made.digest[7:]) == made.size_bytes


def test_packing_again_gives_the_same_blob(tmp_path):
    source = snapshot(tmp_path / "s", ROWS)
    assert pack(source, str(tmp_path)) == pack(source, str(tmp_path))


def test_clamping_changes_times_and_nothing_else(tmp_path):
    source = snapshot(tmp_path / "s", ROWS)
    clamped = pack(source, str(tmp_path), "uncompressed", clamp_epoch=8)
    with tarfile.open(tmp_path / clamped.digest[7:]) as archive:
        assert [member.mtime for member in archive][:2] == [8, 7]
    assert clamped.diff_id != pack(source, "").diff_id


def test_nothing_changed_is_the_empty_layer(tmp_path):
    made = pack(snapshot(tmp_path / "s", []), str(tmp_path))
    assert made.diff_id == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_an_unpacked_layer_keeps_its_opaque_mark(tmp_path):
    rows = [Row("d", DIR, 0o755, opaque=True)]
    made = pack(snapshot(tmp_path / "s", rows, unpacked=True), str(tmp_path), "uncompressed")
    with tarfile.open(tmp_path / made.digest[7:]) as archive:
        assert archive.getnames() == ["d", "d/.wh..wh..opq"]


def test_a_damaged_snapshot_leaves_no_blob(tmp_path):
    source = snapshot(tmp_path / "s", ROWS)
    os.truncate(tmp_path / "s" / "files" / "a" / "big", 1_000_000)
    with pytest.raises(HostError, match="shorter than 3000000 bytes"):
        pack(source, str(tmp_path))
    os.unlink(tmp_path / "s" / "files" / "a" / "big")
    with pytest.raises(HostError, match="a snapshot is damaged: cannot read"):
        pack(source, str(tmp_path))
    assert os.listdir(tmp_path) == ["s"]


def test_a_symlink_in_the_place_of_a_file_is_not_followed(tmp_path):
    source = snapshot(tmp_path / "s", [Row("f", FILE, 0o644, size=1)])
    os.unlink(tmp_path / "s" / "files" / "f")
    os.symlink("/etc/passwd", tmp_path / "s" / "files" / "f")
    with pytest.raises(HostError, match="a snapshot is damaged"):
        pack(source, "")


def test_no_room_for_blobs_is_a_host_error(tmp_path):
    with pytest.raises(HostError, match="cannot write a layer in"):
        pack(snapshot(tmp_path / "s", ROWS), str(tmp_path / "missing"))
