"""ADD of archives: by content, owner and mode of the members, through what the tree holds already. Reference §1.7."""

import io
import os
import tarfile

import pytest
from trees import DISK, check_disk, directory, shown, snapshot, usual

from jettison.base.errors import InputError
from jettison.layer.unpack import unarchive
from jettison.planning.ops import CopyOp, CopySource
from jettison.tree.manifest import Head
from jettison.tree.view import DirectoryView
from jettison.tree.write import copy_step


def archive(members, mode="w:gz"):
    """A tar of (name, kind or content, mode, uid, gid)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, what, bits, owner in members:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = bits, owner, owner, 5
            if what is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(what, tuple):
                info.type, info.linkname = what
            else:
                info.size = len(what)
            tar.addfile(info, io.BytesIO(what) if isinstance(what, bytes) else None)
    return out.getvalue()


class Adding:
    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.context = directory(tmp_path / "context", {})
        self.out = str(tmp_path / "out")

    def put(self, name, data):
        with open(os.path.join(self.context, name), "wb") as file:
            file.write(data)

    def add(self, *names, to="/d/", base=None, wildcard=False, unpack=None, **flags):
        stack = [snapshot(self.tmp_path / "base", base)] if base else []
        op = CopyOp(
            sources=tuple(CopySource(1, f"/{name}", wildcard=wildcard, unpack=unpack) for name in names),
            dest=to.rstrip("/") or "/",
            dest_is_dir=to.endswith("/"),
            add=True,
            **flags,
        )

        def extract(archive, aside, below):
            return unarchive(archive, aside, DISK, below=below)

        copy_step(
            op, stack, [DirectoryView(self.context)], self.out, disk=DISK, head=Head(), unarchive=extract, epoch=7
        )
        if os.geteuid() == 0:
            check_disk(self.out)
        assert sorted(os.listdir(self.out)) == ["files", "head", "manifest"]
        return shown(self.out)


@pytest.fixture
def adding(tmp_path):
    return Adding(tmp_path)


MEMBERS = [
    ("a", None, 0o700, 5),
    ("a/f", b"F", 0o4755, 6),
    ("l", (tarfile.SYMTYPE, "a/f"), 0o777, 0),
    ("n/g", b"G", 0o600, 1),
]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_keep_owner_and_mode(adding, mode):
    adding.put("any.name", archive(MEMBERS, mode))
    assert adding.add("any.name", chmod="777") == usual(
        {"d/": "", "d/a/": "700 5:5", "d/a/f": "4755 6:6 F", "d/l": "-> a/f", "d/n/": "", "d/n/g": "600 1:1 G"}
    )


def test_chown_is_for_all_members_and_what_is_made(adding):
    adding.put("t.tar", archive(MEMBERS))
    assert adding.add("t.tar", chown="3:4") == usual(
        {
            "d/": "755 3:4",
            "d/a/": "700 3:4",
            "d/a/f": "4755 3:4 F",
            "d/l": "-> 3:4 a/f",
            "d/n/": "755 3:4",
            "d/n/g": "600 3:4 G",
        }
    )


def test_what_is_no_archive_is_copied(adding):
    adding.put("t.tar.gz", b"not an archive")
    assert adding.add("t.tar.gz") == usual({"d/": "", "d/t.tar.gz": "644 0:0 not an archive"})


def test_unpack_false_copies(adding):
    data = archive([("a", b"A", 0o644, 0)], "w")
    adding.put("t", data)
    assert adding.add("t", to="/x", unpack=False) == usual({"x": f"644 0:0 {data.decode()}"})


def test_the_destination_is_always_a_directory(adding):
    adding.put("t", archive([("a", b"A", 0o644, 0)]))
    assert adding.add("t", to="/z") == usual({"z/": "", "z/a": "644 0:0 A"})


def test_a_file_as_destination_is_an_error(adding):
    adding.put("t", archive([("a", b"A", 0o644, 0)]))
    with pytest.raises(InputError, match="mkdir /z: not a directory"):
        adding.add("t", to="/z", base={"z": ""})
    assert not os.path.exists(adding.out)


def test_each_match_of_a_wildcard_is_extracted(adding):
    adding.put("1.tar", archive([("a", b"1", 0o644, 0)]))
    adding.put("2.tar", archive([("a", b"2", 0o644, 0), ("b", b"B", 0o644, 0)]))
    adding.put("3.tar", b"text")
    assert adding.add("*.tar", wildcard=True) == usual(
        {"d/": "", "d/a": "644 0:0 2", "d/b": "644 0:0 B", "d/3.tar": "644 0:0 text"}
    )


def test_implied_parents_keep_what_they_have(adding):
    adding.put("t", archive([("n/g", b"G", 0o600, 1)]))
    assert adding.add("t", base={"d/n/": "711 9:9"}) == usual({"d/n/g": "600 1:1 G"})


def test_named_directories_take_the_archives(adding):
    adding.put("t", archive([("n", None, 0o700, 1)]))
    assert adding.add("t", base={"d/n/": "711 9:9", "d/n/f": ""}) == usual({"d/n/": "700 1:1"})


def test_implied_parents_go_through_symlinks_of_the_tree(adding):
    adding.put("t", archive([("n/g", b"G", 0o600, 1)]))
    assert adding.add("t", base={"d/n": "-> /real", "real/": ""}) == usual({"real/g": "600 1:1 G"})


def test_hard_links_are_kept(adding):
    adding.put("t", archive([("b", b"B", 0o644, 2), ("a", (tarfile.LNKTYPE, "b"), 0o644, 2)]))
    assert adding.add("t") == usual({"d/": "", "d/a": "644 2:2 B", "d/b": "= d/a"})


def test_a_later_file_wins_over_a_member(adding):
    adding.put("t", archive([("x", b"old", 0o644, 2), ("y", (tarfile.LNKTYPE, "x"), 0o644, 2)]))
    adding.put("x", b"new")
    assert adding.add("t", "x") == usual({"d/": "", "d/x": "644 0:0 new", "d/y": "644 2:2 old"})


def test_a_member_replaces_a_directory(adding):
    adding.put("t", archive([("x", b"file", 0o644, 2)]))
    assert adding.add("t", base={"d/x/y": ""}) == usual({"d/x": "644 2:2 file"})


def test_a_directory_after_that_shows_nothing_of_the_old_one(adding):
    adding.put("1", archive([("x", b"file", 0o644, 2)]))
    adding.put("2", archive([("x", None, 0o700, 2), ("x/e", None, 0o700, 2), ("x/e/z", b"Z", 0o644, 2)]))
    base = {"d/x/y": "", "d/x/e/old": "", "d/x/e/z/": ""}
    assert adding.add("1", "2", base=base) == usual(
        {"d/x/": "700 2:2", "d/x/y": "gone", "d/x/e/": "700 2:2", "d/x/e/old": "gone", "d/x/e/z": "644 2:2 Z"}
    )


def test_members_never_leave_the_root(adding):
    adding.put("t", archive([("../../f", b"F", 0o644, 0)]))
    with pytest.raises(InputError):
        adding.add("t")
    assert not os.path.exists(adding.out)
