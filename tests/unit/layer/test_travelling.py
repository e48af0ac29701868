"""A layer in place of its snapshot: what comes back is what went, or it is not let go; and cache mounts' tars."""

import os
import stat

import msgspec
import pytest
from snapshots import snapshot

from jettison.base.errors import InputError
from jettison.layer.cachedir import pack_directory, restore_directory
from jettison.layer.faithful import unfaithful
from jettison.layer.pack import pack
from jettison.layer.unpack import unpack
from jettison.tree.content import snapshot_digest
from jettison.tree.disk import Disk
from jettison.tree.manifest import read_rows
from jettison.tree.row import BLOCK, CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row

SECOND = 1_000_000_000
T = 1_700_000_000 * SECOND + 123_456_789
DISK = Disk("trusted" if os.geteuid() == 0 else "user")
ROOT = Row("", DIR, 0o755, 0, 0, 0, T, implied=True)
BIN = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

ROWS = [
    ROOT,
    Row("dev", DIR, 0o755, mtime_ns=T),
    Row("dev/null", CHAR, 0o666, mtime_ns=T, device=(1, 3)),
    Row("dev/sda", BLOCK, 0o660, 0, 6, mtime_ns=T, device=(8, 0)),
    Row("etc", DIR, 0o2750, 0, 42, mtime_ns=T, xattrs=(("user.a", b"1"),), implied=True),
    Row("etc/a", FILE, 0o4755, 0, 0, 9, T, xattrs=(("security.capability", BIN), ("user.e", b""))),
    Row("etc/gone", DELETED),
    Row("etc/link", SYMLINK, 0o777, 3, 4, 0, T, target="/usr/größe"),
    Row("etc/one", FILE, 0o640, 5, 6, 3, T, link="etc/one"),
    Row("etc/pipe", FIFO, 0o600, mtime_ns=T),
    Row("etc/two", FILE, 0o640, 5, 6, 3, T, link="etc/one"),
    Row("replaced", DIR, 0o1777, mtime_ns=T),
    Row("replaced/old", DELETED),
    Row("replaced/old.d", DELETED),
    Row("x" * 60, DIR, 0o755, mtime_ns=T),
    Row("/".join(["x" * 60, "y" * 200, "\udcff\udcfe"]), FILE, 0o644, 0xFFFFFFF0, 0xFFFFFFF1, 0, T),
]
ROWS.insert(-1, Row("/".join(["x" * 60, "y" * 200]), DIR, 0o755, mtime_ns=-5 * SECOND))


def travelled(rows):
    """Rows as they come back: whole seconds, and ancestors that are said outright; the root is that of the base."""
    return [
        msgspec.structs.replace(row, mtime_ns=row.mtime_ns // SECOND * SECOND, implied=False) if row.path else row
        for row in rows
    ]


def travel(tmp_path, rows, contents=None):
    """The snapshot, what came back of it, and its diff_id. Files' rows may stand alone: bytes by `contents`."""
    source = snapshot(tmp_path / "made", rows, contents or {})
    blobs = tmp_path / "blobs"
    blobs.mkdir(exist_ok=True)
    made = pack(source, str(blobs))
    out = str(tmp_path / "back")
    blob = str(blobs / made.digest[7:])
    below = {row.path: row for row in rows if row.implied}
    unpack(blob, "application/x", made.diff_id, out, files=os.geteuid() == 0, disk=DISK, below=below.get)
    return source, out, made


def test_what_comes_back_is_what_went(tmp_path):
    assert not unfaithful(ROWS)
    contents = {"etc/one": b"one", "etc/two": b"one"}
    _, back, _ = travel(tmp_path, ROWS, contents)
    assert read_rows(back) == travelled(read_rows(str(tmp_path / "made")))


@pytest.mark.root
def test_the_content_digest_is_the_same(tmp_path):
    plain = [msgspec.structs.replace(row, implied=row.implied and not row.path) for row in ROWS]
    source, back, _ = travel(tmp_path, plain, {"etc/one": b"one", "etc/two": b"one"})
    assert snapshot_digest(source) == snapshot_digest(back)


@pytest.mark.root
def test_it_is_packed_again_to_the_same_bytes(tmp_path):
    _, back, made = travel(tmp_path, ROWS, {"etc/one": b"one", "etc/two": b"one"})
    again = pack(back, str(tmp_path / "blobs"))
    assert (again.diff_id, again.digest) == (made.diff_id, made.digest)
    clamped = [pack(each, "", clamp_epoch=1_600_000_000).diff_id for each in (str(tmp_path / "made"), back)]
    assert clamped[0] == clamped[1] != made.diff_id


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row("", DIR, 0o1777), "root directory"),
        (Row("etc/.wh.a", FILE), "whiteout"),
        (Row(".wh..wh..opq", DIR), "whiteout"),
        (Row("a", DIR, opaque=True), "whiteout"),
        (Row("/".join(["d" * 255] * 16), DIR), "more than 4095 bytes"),
        (Row("a", FILE, xattrs=(("user.a=b", b""),)), "user.a=b"),
        (Row("a", FILE, xattrs=(("user.overlay.x", b""),)), "user.overlay.x"),
        (Row("a", FILE, xattrs=tuple((f"user.{n}", bytes(65_000)) for n in range(17))), "too many attributes"),
    ],
)
def test_what_no_layer_can_say_stays(row, words):
    assert words in unfaithful([ROOT, row])


def test_a_deleted_name_that_looks_like_a_whiteout_is_one():
    assert not unfaithful([ROOT, Row(".wh.a", DELETED)])


def filled(directory):
    """A cache as a tool leaves it."""
    os.makedirs(directory / "sub" / "deep")
    (directory / "sub" / "a").write_bytes(b"a" * 100_000)
    os.link(directory / "sub" / "a", directory / "b")
    (directory / ".wh.c").write_bytes(b"no whiteout")
    os.symlink("sub/a", directory / "link")
    os.mkfifo(directory / "pipe")
    os.chmod(directory / "sub" / "a", 0o4755)
    for path in ("sub/a", "sub/deep", "sub", ""):
        os.utime(directory / path, ns=(T, T))
    os.chmod(directory, 0o1770)


def test_a_cache_comes_back_with_exact_times(tmp_path):
    filled(tmp_path / "cache")
    made = pack_directory(str(tmp_path / "cache"), str(tmp_path), "gzip")
    restored = tmp_path / "caches" / "0"
    restore_directory(str(tmp_path / made.digest[7:]), str(restored), str(tmp_path / "aside"), DISK)
    assert sorted(os.listdir(restored)) == [".wh.c", "b", "link", "pipe", "sub"]
    assert (restored / "sub" / "a").read_bytes() == b"a" * 100_000
    assert os.stat(restored / "b").st_ino == os.stat(restored / "sub" / "a").st_ino
    assert [os.stat(restored / path).st_mtime_ns for path in ("sub/a", "sub", "")] == [T, T, T]
    assert stat.S_IMODE(os.stat(restored / "b").st_mode) == 0o4755
    assert stat.S_IMODE(os.stat(restored).st_mode) == 0o1770
    assert os.readlink(restored / "link") == "sub/a"
    again = pack_directory(str(restored), str(tmp_path), "gzip")
    assert again.digest == made.digest


@pytest.mark.root
def test_owners_come_back(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "a").write_bytes(b"a")
    os.chown(tmp_path / "cache" / "a", 12, 34)
    os.chown(tmp_path / "cache", 56, 78)
    made = pack_directory(str(tmp_path / "cache"), str(tmp_path), "zstd")
    restore_directory(str(tmp_path / made.digest[7:]), str(tmp_path / "back"), str(tmp_path / "aside"), DISK)
    found = [os.stat(tmp_path / "back"), os.stat(tmp_path / "back" / "a")]
    assert [(status.st_uid, status.st_gid) for status in found] == [(56, 78), (12, 34)]


def test_what_is_there_already_stays(tmp_path):
    filled(tmp_path / "cache")
    made = pack_directory(str(tmp_path / "cache"), str(tmp_path), "gzip")
    (tmp_path / "there").mkdir()
    restore_directory(str(tmp_path / made.digest[7:]), str(tmp_path / "there"), str(tmp_path / "aside"), DISK)
    assert os.listdir(tmp_path / "there") == []


def test_a_damaged_cache_makes_nothing(tmp_path):
    (tmp_path / "bad").write_bytes(b"no archive" * 100)
    with pytest.raises(InputError, match="no archive"):
        restore_directory(str(tmp_path / "bad"), str(tmp_path / "back"), str(tmp_path / "aside"), DISK)
    assert not os.path.exists(tmp_path / "back")
