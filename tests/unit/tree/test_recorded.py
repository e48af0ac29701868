"""What a copy says that it took: the digest that reading gives, made of what the copy saw and of no file again."""

import os
import time

import pytest
from copy_cases import CASES
from test_copy_cases import extract, op_of
from trees import DISK, directory, snapshot

from jettison.base.errors import InputError
from jettison.planning.ops import CopyOp, CopySource
from jettison.tree.content import input_digest
from jettison.tree.manifest import Head
from jettison.tree.recorded import RecordedView, is_copied
from jettison.tree.view import DirectoryView
from jettison.tree.write import copy_step

OLD_NS = 3600 * 10**9
TREE = {
    "d/f": "644 0:0 F",
    "d/e/g": "755 0:0 G",
    "d/l": "-> f",
    "d/empty": "",
    "d/h": "= d/f",
    "d/p": "600 0:0 fifo",
    "d/caf\udce9": "644 0:0 x",
    "other": "644 0:0 O",
}


class Copy:
    """A copy of the context `root`, done; from then on no file of it is opened."""

    def __init__(self, op, root, out, *, ignore=(), base=(), meanwhile=lambda: None):
        self.op = op
        self.opened = []
        self.view = Counted(self.opened, root, ignore)
        self.began_ns = time.time_ns()
        options = {"disk": DISK, "head": Head(), "unarchive": extract, "epoch": 1, "earlier": ()}
        self.taken = copy_step(op, base, [self.view], str(out), **options).taken
        meanwhile()
        self.view.tell(self.taken)

    def digest(self):
        self.opened.clear()
        found = input_digest(self.op, 1, self.view)
        assert self.opened == []
        return found

    def settled(self, began_ns):
        return {path: (stamp, digest) for path, stamp, digest in self.view.settled(began_ns)}


class Counted(RecordedView):
    """One that counts what is opened."""

    def __init__(self, opened, *given):
        super().__init__(*given)
        self.opened = opened

    def open(self, path):
        self.opened.append(path)
        return super().open(path)


def copy(*paths, **more):
    return CopyOp(sources=tuple(CopySource(1, path) for path in paths), dest="/x", dest_is_dir=True, **more)


COPIED = [case for case in CASES if "context" in case and "error" not in case]


@pytest.mark.parametrize("case", COPIED, ids=[case["rule"] for case in COPIED])
def test_by_every_rule_of_copy_it_is_what_reading_gives(case, tmp_path):
    root, ignore = directory(tmp_path / "context", case["context"]), case.get("ignore", ())
    base = [snapshot(tmp_path / "base", case["base"])] if "base" in case else []
    op = op_of(case)
    done = Copy(op, root, tmp_path / "out", ignore=ignore, base=base)
    assert input_digest(op, 1, done.view) == input_digest(op, 1, DirectoryView(root, ignore))


@pytest.mark.parametrize("op", [copy("/d"), copy("/d", chmod="600"), copy("/d", chown="5:7"), copy("/"), copy("/d/f")])
def test_no_file_is_opened_for_it(tmp_path, op):
    root = directory(tmp_path / "c", TREE)
    os.setxattr(f"{root}/d/e/g", "user.note", b"1")
    expected = input_digest(op, 1, DirectoryView(root))
    done = Copy(op, root, tmp_path / "out")
    assert len(done.opened) == len(set(done.opened)) > 0
    assert done.digest() == expected


def test_it_is_of_what_was_taken_whatever_became_of_that(tmp_path):
    root = directory(tmp_path / "c", TREE)
    expected = input_digest(copy("/d"), 1, DirectoryView(root))

    def change():
        with open(f"{root}/d/f", "w") as file:
            file.write("another")
        os.unlink(f"{root}/d/e/g")
        os.chmod(f"{root}/d", 0o700)
        os.mkdir(f"{root}/d/new")

    assert Copy(copy("/d"), root, tmp_path / "out", meanwhile=change).digest() == expected


def test_a_file_that_was_taken_twice_and_differed_is_like_none(tmp_path):
    root = directory(tmp_path / "c", TREE)
    done = Copy(copy("/other"), root, tmp_path / "out")
    honest = done.digest()
    with open(f"{root}/other", "w") as file:
        file.write("P")
    again = Copy(copy("/other"), root, tmp_path / "again")
    done.view.tell([*done.taken, *again.taken])
    assert done.digest() not in (honest, again.digest())


class Index:
    """A DigestIndex that has what was told, and must have all."""

    def __init__(self, known):
        self.known = known

    def get(self, path, stamp):
        found = self.known.get(path)
        return found[1] if found is not None and found[0] == stamp else None

    def put(self, path, stamp, digest):
        if stamp[0]:
            pytest.fail(f"{path} with {stamp} and {digest} was not told")


def test_what_is_told_of_files_is_what_an_index_remembers(tmp_path):
    root = directory(tmp_path / "c", TREE)
    os.setxattr(f"{root}/d/e/g", "user.note", b"1")
    done = Copy(copy("/d"), root, tmp_path / "out")
    known = done.settled(done.began_ns + OLD_NS)
    assert set(known) == {"d/f", "d/e/g", "d/h", "d/caf\udce9"}
    read = input_digest(copy("/d"), 1, DirectoryView(root), Index(known), now_ns=time.time_ns() + OLD_NS)
    assert read == input_digest(copy("/d"), 1, DirectoryView(root))


def test_nothing_is_told_of_a_file_that_is_too_new(tmp_path):
    root = directory(tmp_path / "c", TREE)
    done = Copy(copy("/d"), root, tmp_path / "out")
    newest = max(stamp[2] for stamp, _ in done.settled(done.began_ns + OLD_NS).values())
    assert done.settled(newest) == {}


def test_what_may_have_changed_since_a_time_is_known_by_files_and_by_what_directories_name(tmp_path):
    root = directory(tmp_path / "c", {"d/f": "644 0:0 F"})
    done = Copy(copy("/d"), root, tmp_path / "out")
    file_ns, directory_ns = os.lstat(f"{root}/d/f").st_ctime_ns, os.lstat(f"{root}/d").st_mtime_ns
    assert done.view.may_have_changed(0)
    assert done.view.may_have_changed(file_ns)
    assert not done.view.may_have_changed(max(file_ns, directory_ns) + OLD_NS)
    os.utime(f"{root}/d", ns=(file_ns + OLD_NS,) * 2)
    again = Copy(copy("/d"), root, tmp_path / "again")
    assert again.view.may_have_changed(file_ns + OLD_NS)


@pytest.mark.parametrize(
    ("unpack", "path", "whole"),
    [(False, "/other", True), (None, "/other", False), (True, "/other", False), (None, "/d", True)],
)
def test_what_may_be_unpacked_is_not_copied_as_it_is(tmp_path, unpack, path, whole):
    view = DirectoryView(directory(tmp_path / "c", TREE))
    op = CopyOp(sources=(CopySource(1, path, unpack=unpack), CopySource(1, "/d")), dest="/x", dest_is_dir=True)
    assert is_copied(op, 1, view) is whole


@pytest.mark.parametrize("more", [{}, {"parents": True}])
def test_a_missing_path_is_an_error_before_anything_is_copied(tmp_path, more):
    view = DirectoryView(directory(tmp_path / "c", TREE))
    with pytest.raises(InputError, match='"/nope": not found'):
        is_copied(copy("/nope", **more), 1, view)
