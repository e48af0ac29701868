"""unpack: a layer becomes a snapshot, whoever made it."""

import os
import stat

import pytest
from tars import SECOND, entry, folder, layers, link, on_disk, root_only, symlink

from jettison.tree.manifest import read_head
from jettison.tree.row import CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row

__all__ = ["layers", "on_disk"]


def test_every_kind_is_a_row(layers):
    rows = layers.unpack(
        folder("./"),
        folder("./d/", mode=0o1777, uid=1, gid=2, mtime=3),
        entry("./d/f", content=b"abc", mode=0o4755, uid=1000, gid=100, mtime=4),
        symlink("./d/l", "../x"),
        entry("./p", b"6", mode=0o600),
        entry("./c", b"3", device=(1, 3), mode=0o666),
        link("./d/h", "./d/f"),
    )
    assert list(rows) == ["", "c", "d", "d/f", "d/h", "d/l", "p"]
    assert rows["d"] == Row("d", DIR, 0o1777, 1, 2, mtime_ns=3 * SECOND)
    assert rows["d/l"] == Row("d/l", SYMLINK, 0o777, target="../x")
    assert rows["c"] == Row("c", CHAR, 0o666, device=(1, 3))
    assert rows["p"] == Row("p", FIFO, 0o600)
    assert (rows["d/f"].link, rows["d/h"].link, rows["d/h"].size) == ("d/f", "d/f", 3)
    assert not rows[""].implied


@root_only
def test_files_are_on_the_disk_as_their_rows_say(on_disk):
    on_disk.unpack(
        folder("d", mode=0o500, uid=1, gid=2, mtime=3),
        entry("d/f", content=b"abc" * 1_000_000),
        link("d/h", "d/f", mode=0o4755, uid=1000, gid=100, mtime=4),  # an inode has one owner and mode: the last told
        symlink("d/l", "../x"),
        entry("c", b"3", device=(1, 3)),
    )
    status = os.lstat(on_disk.path("d/f"))
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime) == (0o4755, 1000, 100, 4)
    assert status.st_nlink == 2
    assert on_disk.read("d/h") == b"abc" * 1_000_000
    status = os.lstat(on_disk.path("d"))
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o500, 1, 3)
    assert os.readlink(on_disk.path("d/l")) == "../x"
    assert os.lstat(on_disk.path("c")).st_rdev == os.makedev(1, 3)


def test_head_says_where_a_snapshot_comes_from(layers):
    layers.unpack()
    head = read_head(layers.out)
    assert (head.unpacked, head.files) == (True, layers.files)
    assert os.path.isdir(os.path.join(layers.out, "files")) is layers.files


def test_whiteouts_are_rows(layers):
    rows = layers.unpack(
        folder("d"),
        entry("d/.wh.gone"),
        entry("d/.wh..wh.plnk"),
        entry(".wh.top"),
        folder("o"),
        entry("o/new"),
        entry("o/.wh..wh..opq"),
    )
    assert list(rows) == ["", "d", "d/gone", "o", "o/new", "top"]
    assert rows["d/gone"] == Row("d/gone", DELETED)
    assert (rows["top"].type, rows["o"].opaque, rows["d"].opaque) == (DELETED, True, False)


@root_only
def test_whiteouts_are_an_overlay_s_marks_on_the_disk(on_disk):
    on_disk.unpack(folder("o", mtime=5), entry("o/.wh..wh..opq"), entry(".wh.top"))
    status = os.lstat(on_disk.path("top"))
    assert stat.S_ISCHR(status.st_mode)
    assert status.st_rdev == 0
    assert os.getxattr(on_disk.path("o"), "trusted.overlay.opaque") == b"y"
    assert os.lstat(on_disk.path("o")).st_mtime == 5


@pytest.mark.parametrize("first", [True, False])
def test_a_whiteout_hides_what_is_below_and_not_what_the_layer_brings(layers, first):
    entries = [entry(".wh.d"), folder("d"), entry("d/f"), entry(".wh.g"), entry("g")]
    rows = layers.unpack(*(entries if first else reversed(entries)))
    assert list(rows) == ["", "d", "d/f", "g"]
    assert rows["d"].opaque
    assert not rows["g"].opaque


def test_what_is_missing_above_is_implied(layers):
    rows = layers.unpack(entry("a/b/f"))
    assert [(row.path, row.type, row.mode, row.implied) for row in rows.values()] == [
        ("", DIR, 0o755, True),
        ("a", DIR, 0o755, True),
        ("a/b", DIR, 0o755, True),
        ("a/b/f", FILE, 0o755, False),
    ]


def test_what_is_missing_above_is_as_in_the_layers_below(layers):
    below = {
        "": Row("", DIR, 0o700),
        "tmp": Row("tmp", DIR, 0o1777, 1, 2, mtime_ns=7),
        "l": Row("l", SYMLINK, target="x"),
    }
    rows = layers.unpack(entry("tmp/f"), entry("l/f"), below=below.get)
    assert (rows["tmp"].mode, rows["tmp"].uid, rows["tmp"].mtime_ns, rows["tmp"].implied) == (0o1777, 1, 7, True)
    assert rows[""].mode == 0o700
    assert rows["l"].type == DIR
    if layers.files:
        assert os.lstat(layers.path("tmp")).st_mode & 0o7777 == 0o1777


def test_the_last_of_an_entry_wins(layers):
    rows = layers.unpack(
        entry("a", content=b"one"),
        entry("a", content=b"three", mode=0o600),
        folder("d", mode=0o700),
        entry("d/kept"),
        folder("d", mode=0o711),
        folder("e"),
        entry("e/f"),
        entry("e", content=b"file"),
        symlink("s", "x"),
        folder("s"),
        entry("s/inside"),
    )
    assert list(rows) == ["", "a", "d", "d/kept", "e", "s", "s/inside"]
    assert (rows["a"].size, rows["a"].mode, rows["d"].mode, rows["e"].type) == (5, 0o600, 0o711, FILE)
    if layers.files:
        assert layers.read("a") == b"three"
        assert layers.read("e") == b"file"


def test_a_replaced_name_leaves_its_hard_links(layers):
    rows = layers.unpack(entry("a", content=b"old"), link("b", "a"), link("c", "a"), entry("a", content=b"new!"))
    assert (rows["a"].link, rows["b"].link, rows["c"].link) == ("", "b", "b")
    assert (rows["a"].size, rows["b"].size) == (4, 3)
    if layers.files:
        assert layers.read("b") == b"old"


def test_symlinks_above_are_resolved_inside(layers):
    rows = layers.unpack(
        folder("real"),
        symlink("abs", "/real"),
        symlink("up", "../../../real"),
        symlink("chain", "abs/../up"),
        entry("abs/1"),
        entry("up/2"),
        entry("chain/3", content=b"x"),
        link("real/4", "chain/3"),
        symlink("dangling", "made/here"),
        entry("dangling/5"),
    )
    assert [path for path in rows if path.startswith("real/")] == ["real/1", "real/2", "real/3", "real/4"]
    assert (rows["abs"].type, rows["chain"].type) == (SYMLINK, SYMLINK)
    assert rows["real/4"].link == "real/3"
    assert rows["made/here/5"].type == FILE


def test_a_name_goes_where_its_directory_leads_at_that_time(layers):
    rows = layers.unpack(
        folder("one"),
        folder("two"),
        symlink("at", "one"),
        entry("at/1"),
        entry("./at/1b"),
        symlink("at", "two"),
        entry("at/2"),
        entry("./at/2b"),
        entry("at"),
        folder("at"),
        entry("at/3"),
        entry("./at/3b"),
        entry("at/../4"),
        entry("at/../5"),
    )
    files = [path for path, row in rows.items() if row.type == FILE]
    assert files == ["4", "5", "at/3", "at/3b", "one/1", "one/1b", "two/2", "two/2b"]


def test_a_symlink_out_of_the_layer_leads_nowhere_else(tmp_path, layers):
    outside = tmp_path / "outside"
    outside.mkdir()
    rows = layers.unpack(
        symlink("l", str(outside)), entry("l/f", content=b"x"), symlink("m", "../" * 30 + str(outside)[1:])
    )
    assert os.listdir(outside) == []
    assert rows[f"{str(outside)[1:]}/f"].size == 1


def test_names_are_brought_in_one_form(layers):
    rows = layers.unpack(
        entry("/abs"),
        entry("a//b/./c"),
        entry("x/../y"),
        entry("größe"),
        entry(b"\xff".decode("utf-8", "surrogateescape")),
    )
    assert set(rows) == {"", "abs", "a", "a/b", "a/b/c", "y", "größe", "\udcff"}


def test_attributes_that_would_steer_the_overlay_are_dropped(layers):
    attributes = (
        ("security.capability", bytes.fromhex("0100000200040000000000000000000000000000")),
        ("trusted.overlay.opaque", b"y"),
        ("user.overlay.whiteout", b"y"),
    )
    rows = layers.unpack(entry("f", xattrs=attributes))
    assert rows["f"].xattrs == attributes[:1]
    assert [warning.split(": ")[0] for warning in layers.warnings] == ["f", "f"]
    assert "trusted.overlay.opaque" in layers.warnings[0]


def test_a_sparse_file_has_its_holes(layers, tmp_path):
    import subprocess

    with open(tmp_path / "f", "wb") as file:
        file.seek(1_000_000)
        file.write(b"x" * 5000)
        file.truncate(3_000_000)
    for options in (["--format=gnu"], ["--format=pax"]):
        made = subprocess.run(["tar", "-cS", *options, "f"], cwd=tmp_path, capture_output=True, check=True).stdout
        rows = layers.unpack(made)
        assert rows["f"].size == 3_000_000
        if layers.files:
            assert layers.read("f") == (tmp_path / "f").read_bytes()
