"""A context that is copied again: what was not touched since is linked from what the copy before left, and no more."""

import os
import shutil
import time

import pytest
from trees import DISK

from jettison.planning.ops import CopyOp, CopySource
from jettison.tree.manifest import Head, read_rows
from jettison.tree.row import FILE
from jettison.tree.view import DirectoryView
from jettison.tree.write import copy_step

LATER_NS = 60 * 10**9  # long enough after a file was written for its stamp to be trusted


def none(*_):
    """No archive is looked for."""
    raise AssertionError("nothing is unpacked")


@pytest.fixture
def copied(tmp_path):
    """Copies the context into a new snapshot, after earlier ones."""
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    for name, data in {"a": "A", "d/b": "BB", "d/c": "CCC", "empty": ""}.items():
        (root / name).write_text(data)
    numbers = iter(range(100))

    def copy(*earlier, root=root, later_ns=LATER_NS, workers=1, **flags):
        out = str(tmp_path / f"s{next(numbers)}")
        op = CopyOp(sources=(CopySource(1, "/"),), dest="/to", dest_is_dir=True, **flags)
        copy_step(
            op,
            (),
            [DirectoryView(str(root))],
            out,
            disk=DISK,
            head=Head(),
            unarchive=none,
            epoch=1,
            earlier=earlier,
            workers=workers,
            clock=lambda: time.time_ns() + later_ns,
        )
        return out

    copy.root = root
    return copy


def linked(one, two):
    """The files that two snapshots share."""
    rows = [row.path for row in read_rows(two) if row.type == FILE]
    return {path[3:] for path in rows if same_inode(f"{one}/files/{path}", f"{two}/files/{path}")}


def same_inode(one, two):
    return os.path.exists(one) and os.path.samefile(one, two)


def content(snapshot):
    found = {}
    for row in read_rows(snapshot):
        if row.type == FILE:
            with open(f"{snapshot}/files/{row.path}", "rb") as file:
                found[row.path[3:]] = file.read()
    return found


def test_what_was_not_touched_is_linked(copied):
    first = copied()
    (copied.root / "d/b").write_text("XX")
    second = copied(first)
    assert linked(first, second) == {"a", "d/c"}
    assert content(second) == {"a": b"A", "d/b": b"XX", "d/c": b"CCC", "empty": b""}
    assert read_rows(second) == read_rows(copied())
    third = copied(second)
    assert linked(second, third) == {"a", "d/b", "d/c"}
    shutil.rmtree(first)
    shutil.rmtree(second)
    assert content(third) == {"a": b"A", "d/b": b"XX", "d/c": b"CCC", "empty": b""}


@pytest.mark.parametrize("workers", [1, 3])
def test_of_many_files_all_others_are_linked(copied, workers):
    for number in range(1_300):
        path = copied.root / f"{number % 7}/{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_text("text")
    first = copied(workers=workers)
    changed = {"0/0", "3/703", "6/1294"}
    for path in changed:
        (copied.root / path).write_text("other")
    (copied.root / "1/new").write_text("new")
    (copied.root / "2/485").unlink()
    assert linked(first, copied(first, workers=workers)) == {
        row.path[3:] for row in read_rows(first) if row.type == FILE and row.size
    } - {*changed, "2/485"}


def with_time_kept(path, data):
    before = os.stat(path)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path, data):
    before = os.stat(path)
    aside = path.with_name("aside")
    aside.write_bytes(data)
    os.utime(aside, ns=(before.st_atime_ns, before.st_mtime_ns))
    aside.rename(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: with_time_kept(path, b"YYY"),
        lambda path: replaced(path, b"YYY"),
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, ns=(5, 5)),
        lambda path: os.link(path, f"{path}.2"),
    ],
    ids=["same size and time", "another inode", "mode", "time", "a second name"],
)
def test_whatever_was_done_to_a_file_it_is_copied(copied, change):
    first = copied()
    change(copied.root / "d/c")
    second = copied(first)
    assert linked(first, second) == {"a", "d/b"}
    assert read_rows(second) == read_rows(copied())


@pytest.mark.parametrize("flags", [{"chmod": "740"}, {"chown": "7:8"}])
def test_another_mode_or_owner_is_another_file(copied, flags):
    assert linked(copied(), copied(*[copied()], **flags)) == set()


def test_a_file_that_is_too_new_is_copied_again(copied):
    first = copied(later_ns=-LATER_NS)
    assert linked(first, copied(first)) == set()


def test_another_context_has_nothing_to_give(copied, tmp_path):
    shutil.copytree(copied.root, tmp_path / "other", copy_function=os.link)
    first = copied(root=tmp_path / "other")
    assert linked(first, copied(first)) == set()
    assert linked(first, copied(copied(), first, root=tmp_path / "other")) == {"a", "d/b", "d/c"}


def lose_sources(snapshot):
    os.unlink(f"{snapshot}/sources")


def damage_sources(snapshot):
    with open(f"{snapshot}/sources", "ab") as file:
        file.write(b"\xff")


def cut_sources(snapshot):
    os.truncate(f"{snapshot}/sources", os.path.getsize(f"{snapshot}/sources") - 9)


def spoil_sources(snapshot):
    """As an earlier format had it: what is read as a length is one of four gigabytes."""
    with open(f"{snapshot}/sources", "r+b") as file:
        head = int.from_bytes(file.read(4), "big")
        file.seek(4 + head)
        file.write(b"\xdf\xff\xff\xff")


def lose_files(snapshot):
    shutil.rmtree(f"{snapshot}/files")


def cut_files(snapshot):
    for row in read_rows(snapshot):
        if row.type == FILE:
            os.truncate(f"{snapshot}/files/{row.path}", 0)


@pytest.mark.parametrize(
    "damage", [lose_sources, damage_sources, cut_sources, spoil_sources, lose_files, cut_files, shutil.rmtree]
)
def test_a_damaged_snapshot_costs_time_alone(copied, damage):
    first = copied()
    damage(first)
    second = copied(first)
    assert content(second) == {"a": b"A", "d/b": b"BB", "d/c": b"CCC", "empty": b""}


def test_names_that_are_not_utf8_are_copied(copied):
    (copied.root / os.fsdecode(b"n\xff")).write_text("N")
    first = copied()
    assert linked(first, copied(first)) == {"a", "d/b", "d/c"}
