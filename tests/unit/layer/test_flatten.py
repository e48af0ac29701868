"""flatten: a stack of snapshots as one tree, in a tar of one form or a directory that is written into safely."""

import os
import tarfile

import pytest
from snapshots import snapshot

from jettison.base.errors import HostError
from jettison.layer.flatten import export_tree
from jettison.layer.merge import merged_rows
from jettison.tree.row import CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row

SECOND = 1_000_000_000
LOWER = [
    Row("bin", DIR, 0o755, mtime_ns=3 * SECOND),
    Row("bin/a", FILE, 0o4755, 7, 7, 3, 4 * SECOND, link="bin/a"),
    Row("bin/b", FILE, 0o4755, 7, 7, 3, 4 * SECOND, link="bin/a"),
    Row("bin/c", FILE, 0o4755, 7, 7, 3, 4 * SECOND, link="bin/a"),
    Row("etc", DIR, 0o755),
    Row("etc/conf", FILE, 0o600, size=4),
    Row("lib", SYMLINK, 0o777, target="bin"),
    Row("opt", DIR, 0o755),
    Row("opt/x", DIR, 0o755),
    Row("opt/x/deep", FILE, 0o644),
    Row("var", DIR, 0o1777),
    Row("var/old", FILE, 0o644),
    Row("was", DIR, 0o755),
    Row("was/inside", FILE, 0o644),
]
UPPER = [
    Row("bin", DIR, 0o700, implied=True),
    Row("bin/a", FILE, 0o644, size=2, link="bin/a"),
    Row("bin/d", FILE, 0o644, size=2, link="bin/a"),
    Row("etc", DELETED),
    Row("opt", DIR, 0o755, implied=True),
    Row("opt/x", DELETED),
    Row("var", DIR, 0o700, opaque=True),
    Row("var/new", FILE, 0o644, size=1),
    Row("was", FILE, 0o644, size=5),
]
PATHS = ["bin", "bin/a", "bin/b", "bin/c", "bin/d", "lib", "opt", "var", "var/new", "was"]


@pytest.fixture
def stack(tmp_path):
    return [snapshot(tmp_path / "1", LOWER), snapshot(tmp_path / "2", UPPER)]


def test_what_shows_through_a_stack(stack):
    found = {row.path: (row, files) for row, files in merged_rows(stack)}
    assert list(found)[1:] == PATHS
    assert found["bin"][0].mode == 0o755
    assert found["bin/b"][1] == os.path.join(stack[0], "files")
    assert found["bin/a"][0].link == found["bin/d"][0].link != found["bin/b"][0].link == found["bin/c"][0].link


def test_a_tar_has_one_form_and_all_that_shows(tmp_path, stack):
    export_tree(stack, str(tmp_path / "a.tar"), "tar")
    export_tree(stack, str(tmp_path / "b.tar"), "tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        found = {member.name: member for member in archive}
    assert list(found) == PATHS
    assert (found["bin/b"].uid, found["bin/b"].mode, found["bin/b"].type) == (7, 0o4755, tarfile.REGTYPE)
    assert (found["bin/c"].linkname, found["bin/d"].linkname) == ("bin/b", "bin/a")
    assert sorted(os.listdir(tmp_path)) == ["1", "2", "a.tar", "b.tar"]


def test_an_epoch_becomes_every_time(tmp_path, stack):
    export_tree(stack, str(tmp_path / "a.tar"), "tar", epoch=100)
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert {member.mtime for member in archive} == {100}
    export_tree(stack, str(tmp_path / "out"), "dir", epoch=100)
    assert {os.lstat(tmp_path / "out" / path).st_mtime for path in PATHS} == {100}


def test_a_directory_gets_modes_times_and_links(tmp_path, stack):
    out = tmp_path / "out"
    export_tree(stack, str(out), "dir")
    assert (
        sorted(os.path.relpath(os.path.join(at, name), out) for at, ds, fs in os.walk(out) for name in ds + fs) == PATHS
    )
    status = (out / "bin" / "b").stat()
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_uid) == (0o4755, 4, os.geteuid())
    assert os.path.samefile(out / "bin" / "b", out / "bin" / "c")
    assert not os.path.samefile(out / "bin" / "b", out / "bin" / "a")
    assert (out / "bin").stat().st_mtime == 3
    assert (out / "was").read_bytes() == b"xxxxx"
    assert os.readlink(out / "lib") == "bin"


def test_an_export_shares_no_inode_with_a_snapshot(tmp_path, stack):
    export_tree(stack, str(tmp_path / "out"), "dir")
    assert not os.path.samefile(tmp_path / "out" / "was", tmp_path / "2" / "files" / "was")


def test_a_directory_is_added_to_and_never_left(tmp_path, stack):
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("mine")
    out.mkdir()
    (out / "kept").write_text("kept")
    (out / "bin").symlink_to(outside)
    (out / "was").mkdir()
    (out / "was" / "below").write_text("gone")
    (out / "lib").symlink_to(outside)
    (out / "var").mkdir()
    (out / "var" / "more").write_text("more")
    (out / "var" / "new").symlink_to(outside / "a")
    (out / "var").chmod(0o555)
    export_tree(stack, str(out), "dir")
    export_tree(stack, str(out), "dir")
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_text() == "mine"
    assert (out / "kept").read_text() == "kept"
    assert sorted(os.listdir(out / "var")) == ["more", "new"]
    assert not (out / "bin").is_symlink()
    assert (out / "was").is_file()
    assert (out / "var").stat().st_mode & 0o7777 == 0o700


def test_a_pipe_or_device_is_written_into(stack):
    export_tree(stack, "/dev/null", "tar")
    assert not os.path.isfile("/dev/null")


def test_fifos_and_devices(tmp_path):
    rows = [Row("d", CHAR, 0o666, device=(1, 3)), Row("p", FIFO, 0o640)]
    warnings = []
    export_tree([snapshot(tmp_path / "s", rows)], str(tmp_path / "out"), "dir", warn=warnings.append)
    made = os.listdir(tmp_path / "out")
    assert "p" in made
    assert "d" in made or warnings == ["the device /d is left out: making it needs root"]


def test_a_damaged_snapshot_leaves_no_tar(tmp_path, stack):
    os.truncate(tmp_path / "2" / "files" / "was", 1)
    with pytest.raises(HostError, match="a snapshot is damaged"):
        export_tree(stack, str(tmp_path / "a.tar"), "tar")
    with pytest.raises(HostError, match="a snapshot is damaged"):
        export_tree(stack, str(tmp_path / "out"), "dir")
    assert sorted(os.listdir(tmp_path)) == ["1", "2", "out"]


def test_a_place_that_cannot_be_written_is_named(tmp_path, stack):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=r"cannot write .*file"):
        export_tree(stack, str(tmp_path / "file"), "dir")
    with pytest.raises(HostError, match=r"cannot write .*file"):
        export_tree(stack, str(tmp_path / "file" / "a.tar"), "tar")


def test_a_tar_of_nothing_is_empty(tmp_path):
    export_tree([], str(tmp_path / "a.tar"), "tar")
    assert (tmp_path / "a.tar").read_bytes() == bytes(1024)
