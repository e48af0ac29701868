"""Snapshots on the disk: where bytes are linked and where copied, several processes, and what goes wrong midway."""

import os
import subprocess
import sys

import pytest
from trees import DISK, check_disk, directory, shown, snapshot, usual

from jettison.base.digest import digest_of
from jettison.base.errors import HostError
from jettison.planning.ops import CopyOp, CopySource, MkdirOp
from jettison.tree.content import snapshot_digest
from jettison.tree.disk import Disk
from jettison.tree.manifest import Head, read_head, read_rows
from jettison.tree.row import CHAR, DELETED, DIR, FILE, Row, with_digest
from jettison.tree.view import DirectoryView, StackView
from jettison.tree.write import copy_step

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs real root (chown)")


def none(*_):
    """No archive is looked for."""
    raise AssertionError("nothing is unpacked")


def copy(view, out, *, path="/", to="/", workers=1, tree=(), **flags):
    op = CopyOp(sources=(CopySource(1, path),), dest=to, dest_is_dir=True, **flags)
    return copy_step(op, tree, [view], str(out), disk=DISK, head=Head(tier="root"), unarchive=none, workers=workers)


def inode(path):
    return os.lstat(path).st_ino


TREE = {"d/f": "644 1:2 F", "d/g": "600 1:2 GG", "d/h": "= d/f", "d/big": "644 0:0 " + "x" * 300_000, "d/empty": ""}


def test_a_snapshot_is_head_manifest_and_files(tmp_path):
    done = copy(StackView([snapshot(tmp_path / "s", TREE)]), tmp_path / "out")
    assert done.changed
    assert done.files == 5
    assert done.size_bytes == 300_004
    assert sorted(os.listdir(tmp_path / "out")) == ["files", "head", "manifest"]
    assert read_head(str(tmp_path / "out")).tier == "root"
    assert [row.path for row in read_rows(str(tmp_path / "out")) if row.implied] == [""]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("flags", [{}, {"chmod": "740"}])  # with x: directories get it too, and are read below
def test_rows_tell_the_digests_of_their_files(tmp_path, workers, flags):
    tree = TREE | {f"d/many/{number}": f"644 0:0 {number}" for number in range(1_200)}
    for number, source in enumerate([StackView([snapshot(tmp_path / "s", tree)]), DirectoryView(tmp_path / "s/files")]):
        out = tmp_path / f"out{number}"
        done = copy(source, out, workers=workers, **flags)
        for row in read_rows(str(out)):
            if row.type == FILE and row.size:
                assert row.digest == digest_of((out / "files" / row.path).read_bytes())
        rows = [with_digest(row, "") for row in read_rows(str(out))]
        assert done.digest == snapshot_digest(str(out)) == snapshot_digest(str(out), rows)


@pytest.mark.root
@root_only
def test_unchanged_files_of_a_stage_are_linked(tmp_path):
    source = snapshot(tmp_path / "s", TREE)
    copy(StackView([source]), tmp_path / "out")
    assert shown(str(tmp_path / "out")) == usual({"d/": ""} | TREE)
    check_disk(str(tmp_path / "out"))
    for name in ("f", "g", "h", "big", "empty"):
        assert inode(f"{source}/files/d/{name}") == inode(f"{tmp_path}/out/files/d/{name}")


@pytest.mark.root
@root_only
@pytest.mark.parametrize("flags", [{"chown": "9"}, {"chmod": "640"}])
def test_files_that_change_on_the_way_are_copied(tmp_path, flags):
    source = snapshot(tmp_path / "s", {"f": "644 1:2 F"})
    copy(StackView([source]), tmp_path / "out", **flags)
    assert inode(f"{source}/files/f") != inode(f"{tmp_path}/out/files/f")
    assert os.stat(f"{source}/files/f").st_mode & 0o777 == 0o644
    check_disk(str(tmp_path / "out"))


def test_a_context_is_never_linked(tmp_path):
    root = directory(tmp_path / "c", {"f": "644 0:0 F"})
    copy(DirectoryView(root), tmp_path / "out")
    assert inode(f"{root}/f") != inode(f"{tmp_path}/out/files/f")


def test_one_file_is_never_linked_twice(tmp_path):
    source = StackView([snapshot(tmp_path / "s", {"f": "644 0:0 F"})])
    op = CopyOp(sources=(CopySource(1, "/f"), CopySource(1, "/")), dest="/x", dest_is_dir=True)
    op2 = CopyOp(sources=(CopySource(1, "/x/f"), CopySource(1, "/")), dest="/y", dest_is_dir=True)
    copy_step(op, [], [source], str(tmp_path / "1"), disk=DISK, head=Head(), unarchive=none)
    copy_step(op2, [], [StackView([str(tmp_path / "1")])], str(tmp_path / "2"), disk=DISK, head=Head(), unarchive=none)
    copies = [f"{tmp_path}/2/files/y/{name}" for name in ("f", "x/f")]
    assert inode(copies[0]) != inode(copies[1])
    assert {row.link for row in read_rows(str(tmp_path / "2"))} == {""}


def test_two_layers_with_one_inode_give_two_files(tmp_path):
    one = snapshot(tmp_path / "1", {"f": "644 0:0 F"})
    op = CopyOp(sources=(CopySource(1, "/f"),), dest="/g", dest_is_dir=False)
    copy_step(op, [one], [StackView([one])], str(tmp_path / "2"), disk=DISK, head=Head(), unarchive=none)
    copy(StackView([one, str(tmp_path / "2")]), tmp_path / "3")
    assert inode(f"{tmp_path}/3/files/f") != inode(f"{tmp_path}/3/files/g")


@pytest.mark.parametrize("workers", [2, 3])
def test_several_processes_give_the_same(tmp_path, workers):
    tree = {f"d{n % 7}/{n}": f"644 0:0 {n}" for n in range(1600)} | {"d1/l": "= d0/0"}
    view = DirectoryView(directory(tmp_path / "c", tree))
    copy(view, tmp_path / "one")
    copy(view, tmp_path / "many", workers=workers)
    assert read_rows(str(tmp_path / "one")) == read_rows(str(tmp_path / "many"))
    assert shown(str(tmp_path / "many")) == usual(tree | {f"d{n}/": "" for n in range(7)})
    if os.geteuid() == 0:
        check_disk(str(tmp_path / "many"))


class Changing(DirectoryView):
    """A context whose file has other bytes when it is read."""

    data = b""

    def open(self, path):
        with open(self.where(path), "wb") as file:
            file.write(self.data)
        return super().open(path)


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 200_000])
def test_a_context_that_changes_is_recorded_as_it_was_read(tmp_path, data):
    root = directory(tmp_path / "c", {"f": "644 0:0 twelve bytes", "g": "= f"})
    view = Changing(root)
    view.data = data
    copy(view, tmp_path / "out")
    sizes = {row.path: row.size for row in read_rows(str(tmp_path / "out")) if row.type == FILE}
    assert sizes == {"f": len(data), "g": len(data)}
    assert os.stat(f"{tmp_path}/out/files/f").st_size == len(data)


def test_a_damaged_stage_is_an_error_and_leaves_nothing(tmp_path):
    source = snapshot(tmp_path / "s", {"f": "644 0:0 four"})
    with open(f"{source}/files/f", "wb") as file:
        file.write(b"x")
    with pytest.raises(HostError, match="damaged"):
        copy(StackView([source]), tmp_path / "out", chmod="600")
    assert not os.path.exists(tmp_path / "out")
    os.unlink(f"{source}/files/f")
    with pytest.raises(HostError, match="damaged"):
        copy(StackView([source]), tmp_path / "out")
    assert not os.path.exists(tmp_path / "out")


def test_what_exists_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    with pytest.raises(FileExistsError):
        copy(DirectoryView(directory(tmp_path / "c", {"f": ""})), tmp_path / "out")
    assert (tmp_path / "out" / "precious").exists()


def test_times(tmp_path):
    base = snapshot(tmp_path / "base", {"old/": "700"})
    root = directory(tmp_path / "c", {"d/f": "", "d/e/": ""})
    op = CopyOp(sources=(CopySource(1, "/d"),), dest="/old/made/new", dest_is_dir=False)
    copy_step(op, [base], [DirectoryView(root)], str(tmp_path / "out"), disk=DISK, head=Head(), unarchive=none, epoch=7)
    times = {row.path: row.mtime_ns // 10**9 for row in read_rows(str(tmp_path / "out"))}
    source = 1_500_000_000
    assert times == {
        "": 0,
        "old": source,
        "old/made": 7,
        "old/made/new": source,
        "old/made/new/f": source,
        "old/made/new/e": source,
    }
    copy_step(MkdirOp(path="/w"), [base], [], str(tmp_path / "w"), disk=DISK, head=Head(), unarchive=none)
    made = next(row for row in read_rows(str(tmp_path / "w")) if row.path == "w")
    assert made.mtime_ns > source * 10**9


def test_the_time_alone_is_no_change_of_a_directory(tmp_path):
    base = snapshot(tmp_path / "base", {"same/": "755", "other/": "700"})
    root = directory(tmp_path / "c", {"same/": "", "other/f": ""})
    os.chmod(f"{root}/other", 0o700)
    later = 1_900_000_000
    for name in ("same", "other"):
        os.utime(f"{root}/{name}", (later, later))
    copy(DirectoryView(root), tmp_path / "out", tree=[base])
    rows = {row.path: (row.implied, row.mtime_ns == later * 10**9) for row in read_rows(str(tmp_path / "out"))}
    assert rows == {"": (True, False), "other": (True, False), "other/f": (False, False)}


@pytest.mark.root
@root_only
def test_overlay_marks(tmp_path):
    disk = Disk("user")
    disk.create(str(tmp_path / "w"), Row("w", DELETED))
    disk.create(str(tmp_path / "d"), Row("d", DIR, 0o2755, 3, 4, mtime_ns=5, opaque=True))
    assert os.lstat(tmp_path / "w").st_rdev == 0
    assert os.getxattr(tmp_path / "d", "user.overlay.opaque") == b"y"
    status = os.stat(tmp_path / "d")
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns) == (0o2755, 3, 4, 5)


def test_attributes_are_carried_over(tmp_path):
    root = directory(tmp_path / "c", {"f": "644 0:0 F"})
    os.setxattr(f"{root}/f", "user.note", b"\0\xff")
    os.setxattr(f"{root}/f", "user.overlay.opaque", b"y")
    copy(DirectoryView(root), tmp_path / "1")
    copy(StackView([str(tmp_path / "1")]), tmp_path / "2", chmod="600")
    for number in (1, 2):
        assert os.listxattr(f"{tmp_path}/{number}/files/f") == ["user.note"]
        row = next(row for row in read_rows(f"{tmp_path}/{number}") if row.path == "f")
        assert row.xattrs == (("user.note", b"\0\xff"),)


def test_what_a_disk_cannot_hold_is_in_the_manifest_alone(tmp_path):
    at = str(tmp_path / "f")
    DISK.create(at, Row("f", FILE, 0o4755, xattrs=(("nonsense.x", b"1"),)))
    assert os.stat(at).st_mode & 0o7777 == 0o4755
    assert os.listxattr(at) == []
    DISK.create(str(tmp_path / "n"), Row("n", CHAR, 0o666, device=(1, 3)))
    assert os.path.lexists(tmp_path / "n")


SMALL = """
import sys
from jettison.layer.pack import taped
from jettison.planning.ops import CopyOp, CopySource
from jettison.tree.content import input_digest
from jettison.tree.disk import Disk
from jettison.tree.manifest import Head
from jettison.tree.view import DirectoryView
from jettison.tree.write import copy_step
op = CopyOp(sources=(CopySource(1, "/"),), dest="/", dest_is_dir=True)
view = DirectoryView(sys.argv[1])
input_digest(op, 1, view)
with taped("") as taping:
    copy_step(op, (), [view], sys.argv[2], disk=Disk("trusted"), head=Head(), unarchive=None, tape=taping.tape)
print(*sys.modules)
"""


def test_a_small_copy_imports_nothing_that_takes_longer_than_it_does(tmp_path):
    root = directory(tmp_path / "context", {"a.txt": "644 0:0 alpha", "d/b.txt": "644 0:0 beta"})
    words = [sys.executable, "-c", SMALL, root, str(tmp_path / "out")]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    assert {"_hashlib", "pickle", "queue", "shutil"}.isdisjoint(found)
