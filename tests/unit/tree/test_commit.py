"""Parts of the commit of a step that need no overlay: mountpoints, rows of what lies on the disk."""

import os
import stat

import pytest

from jettison.sandbox import userns
from jettison.sandbox.tier import IdRange
from jettison.tree.commit import LiveView, Made, is_untouched, remove_mountpoints, row_of
from jettison.tree.row import CHAR, DIR, FIFO, FILE, SYMLINK

CAPABILITY_2 = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+ep


def make(top: str, *paths: str) -> None:
    for path in paths:
        full = os.path.join(top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        if path.endswith("/"):
            os.makedirs(full, exist_ok=True)
        else:
            with open(full, "wb"):
                pass


def test_empty_mountpoints_are_removed_and_times_given_back(tmp_path: os.PathLike[str]) -> None:
    top = os.fspath(tmp_path)
    make(top, "etc/hosts", "a/b/")
    after = [os.stat(os.path.join(top, path)).st_mtime_ns for path in ("etc", "", "a")]
    remove_mountpoints(top, [Made("etc/hosts", 111, after[0]), Made("a", 222, after[1]), Made("a/b", 333, after[2])])
    assert os.listdir(top) == ["etc"]
    assert os.listdir(os.path.join(top, "etc")) == []
    assert [os.stat(os.path.join(top, path)).st_mtime_ns for path in ("etc", "")] == [111, 222]


def test_a_mountpoint_that_was_used_stays(tmp_path: os.PathLike[str]) -> None:
    top = os.fspath(tmp_path)
    make(top, "dir/kept", "file")
    with open(os.path.join(top, "file"), "wb") as file:
        file.write(b"x")
    remove_mountpoints(top, [Made("dir", 1, 2), Made("file", 1, 2), Made("gone", 1, 2), Made("no/such", 1, 2)])
    assert sorted(os.listdir(top)) == ["dir", "file"]


def test_a_parent_that_the_step_changed_keeps_its_time(tmp_path: os.PathLike[str]) -> None:
    top = os.fspath(tmp_path)
    make(top, "etc/hosts")
    os.utime(os.path.join(top, "etc"), ns=(5, 5))
    remove_mountpoints(top, [Made("etc/hosts", 1, 2)])
    assert os.stat(os.path.join(top, "etc")).st_mtime_ns == 5


def test_an_empty_upper_directory_like_the_one_below_is_untouched(tmp_path: os.PathLike[str]) -> None:
    upper, below = (os.path.join(tmp_path, name) for name in ("upper", "below"))
    make(upper, "./")
    make(below, "file")
    assert is_untouched(upper, below)
    os.chmod(upper, 0o700)
    assert not is_untouched(upper, below)


def test_a_live_view_tells_what_the_kernel_shows(tmp_path: os.PathLike[str]) -> None:
    top = os.fspath(tmp_path)
    make(top, "dir/file")
    os.symlink("/target", os.path.join(top, "sym"))
    os.mkfifo(os.path.join(top, "pipe"))
    os.chmod(os.path.join(top, "dir"), 0o1751)
    view = LiveView(top)
    assert {name: view.row(name).type for name in view.children("")} == {"dir": DIR, "pipe": FIFO, "sym": SYMLINK}
    assert view.row("dir").mode == 0o1751
    assert view.row("sym").target == "/target"
    assert [row.path for row in view.entries("dir")] == ["dir/file"]
    assert view.row("nothing") is None
    assert view.row("dir/file/below") is None
    assert view.children("dir/file") == []
    with open(view.open("dir/file"), "rb") as file:
        assert file.read() == b""
    with pytest.raises(OSError, match="symbolic"):
        view.open("sym")


def test_a_device_has_its_numbers(tmp_path: os.PathLike[str]) -> None:
    row = row_of("/dev/null", "null", os.lstat("/dev/null"))
    assert row is not None
    assert (row.type, row.device, row.size) == (CHAR, (1, 3), 0)


def test_attributes_of_overlays_and_of_the_machine_are_left_out(tmp_path: os.PathLike[str]) -> None:
    make(os.fspath(tmp_path), "file")
    path = os.path.join(tmp_path, "file")
    for name in ("user.kept", "user.overlay.opaque", "user.also"):
        os.setxattr(path, name, b"1")
    row = row_of(path, "file", os.lstat(path))
    assert row is not None
    assert row.xattrs == (("user.also", b"1"), ("user.kept", b"1"))


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_capability_is_the_same_from_inside_a_namespace_and_from_outside(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "program")
    make(os.fspath(tmp_path), "program")
    os.chown(path, 100000, 100000)
    os.chmod(tmp_path, stat.S_IMODE(os.stat(tmp_path).st_mode) | 0o755)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            at = os.open(path, os.O_RDONLY)
            ids = (IdRange(0, 100000, 65536),)
            userns.enter(ids, ids, by_helper=False)
            where = f"/proc/self/fd/{at}"
            os.setxattr(where, "security.capability", CAPABILITY_2)
            os.write(writing, os.getxattr(where, "security.capability"))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading, "rb") as pipe:
        assert pipe.read() == CAPABILITY_2
    assert len(os.getxattr(path, "security.capability")) == 24
    row = row_of(path, "program", os.lstat(path))
    assert row is not None
    assert row.type == FILE
    assert row.xattrs == (("security.capability", CAPABILITY_2),)
