"""unpack: a layer becomes a snapshot, whoever made it; nothing outside is touched, and a wrong one leaves nothing."""

import gzip
import hashlib
import io
import os
import stat
import tarfile

import pytest
from snapshots import snapshot

from jettison.base.errors import HostError, InputError
from jettison.layer.extract import Extraction
from jettison.layer.pack import pack
from jettison.layer.stream import Stream
from jettison.layer.tarread import entries
from jettison.layer.tarwrite import END, header
from jettison.layer.unpack import unpack
from jettison.tree.disk import Disk
from jettison.tree.manifest import read_head, read_rows
from jettison.tree.row import CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row

SECOND = 1_000_000_000
DISK = Disk("trusted" if os.geteuid() == 0 else "user")
root_only = pytest.mark.root


def entry(name, kind=b"0", content=b"", **more):
    """One entry of a tar. `link` and `mode` as in `header`."""
    made = header(os.fsencode(name), kind, more.pop("mode", 0o755), size=len(content), **more)
    return made + content + bytes(-len(content) % 512)


def folder(name, **more):
    return entry(name, b"5", **more)


def link(name, target, **more):
    return entry(name, b"1", link=target.encode(), **more)


def symlink(name, target):
    return entry(name, b"2", link=target.encode())


class Layers:
    """Unpacks tars given as bytes below a directory; the rows of the last, and what lies on the disk."""

    def __init__(self, directory, files):
        self.directory = directory
        self.files = files
        self.count = 0
        self.warnings = []
        self.out = ""

    def unpack(self, *entries, below=None, diff_id=None):
        tar = b"".join(entries) + END
        self.count += 1
        self.out = os.path.join(self.directory, f"s{self.count}")
        blob = os.path.join(self.directory, f"blob{self.count}")
        with open(blob, "wb") as file:
            file.write(gzip.compress(tar))
        made = unpack(
            blob,
            "application/vnd.oci.image.layer.v1.tar+gzip",
            diff_id or "sha256:" + hashlib.sha256(tar).hexdigest(),
            self.out,
            self.files,
            DISK,
            below=below,
            warn=self.warnings.append,
        )
        rows = {row.path: row for row in read_rows(self.out)}
        assert made.rows == len(rows)
        return rows

    def path(self, path):
        return os.path.join(self.out, "files", path)

    def read(self, path):
        with open(self.path(path), "rb") as file:
            return file.read()


@pytest.fixture(params=[False, pytest.param(True, marks=root_only)], ids=["manifest", "files"])
def layers(tmp_path, request):
    return Layers(str(tmp_path), request.param)


@pytest.fixture
def on_disk(tmp_path):
    return Layers(str(tmp_path), True)


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


HOSTILE = {
    "a path out": ([entry("../x")], "a path outside of it"),
    "a path out further in": ([entry("a/../../x")], "a path outside of it"),
    "a link out": ([link("l", "../../etc/passwd")], "a path outside of it"),
    "a link to nothing": ([link("l", "/etc/passwd")], "which it does not hold"),
    "a link to a directory": ([folder("d"), link("l", "d")], "which it does not hold"),
    "a link through a symlink to nothing": ([symlink("s", "/etc"), link("l", "s/passwd")], "which it does not hold"),
    "a whiteout device": ([entry("x", b"3", device=(0, 0))], "device 0:0"),
    "a whiteout of nothing": ([entry("d/.wh.")], "a whiteout of nothing"),
    "a whiteout of the parent": ([entry("d/.wh...")], "a whiteout of nothing"),
    "a whiteout of itself": ([entry("d/.wh..")], "a whiteout of nothing"),
    "a root that is a file": ([entry("./", content=b"x")], "which is no directory"),
    "a file as a directory": ([entry("f"), entry("f/g")], "is not a directory"),
    "a loop of symlinks": ([symlink("a", "b"), symlink("b", "a"), entry("a/f")], "too many symlinks"),
    "a symlink to nowhere": ([symlink("a", "")], "without a target"),
    "a path that is too long": ([entry("/".join(["d" * 200] * 21))], "more than 4095 bytes"),
    "cut content": ([header(b"f", b"0", size=100_000)], "cut off"),
}


def test_the_umask_is_as_it_was(layers):
    before = os.umask(0o027)
    try:
        layers.unpack(entry("f", mode=0o666), entry("g", mode=0o4777))
        with pytest.raises(InputError):
            layers.unpack(entry("../f"))
        assert os.umask(0o027) == 0o027
        if layers.files:
            layers.unpack(entry("f", mode=0o666), entry("g", mode=0o4777))
            assert [os.lstat(layers.path(name)).st_mode & 0o7777 for name in "fg"] == [0o666, 0o4777]
        assert os.lstat(os.path.join(layers.directory, "s1", "manifest")).st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_is_refused_and_leaves_nothing(layers, case):
    entries, message = HOSTILE[case]
    with pytest.raises(InputError, match=message) as caught:
        layers.unpack(folder("before"), *entries)
    assert "layer sha256:" in caught.value.message
    assert not os.path.exists(layers.out)


@root_only
def test_a_name_that_the_disk_cannot_hold_is_refused(on_disk):
    with pytest.raises(InputError, match="File name too long"):
        on_disk.unpack(entry("n" * 256))
    assert not os.path.exists(on_disk.out)


def test_a_layer_with_another_sum_leaves_nothing(layers):
    with pytest.raises(InputError, match="not what it should be"):
        layers.unpack(entry("f"), diff_id="sha256:" + "0" * 64)
    assert not os.path.exists(layers.out)


def test_what_follows_the_end_is_part_of_the_sum(layers):
    assert list(layers.unpack(entry("f"), END, b"rest" * 200_000)) == ["", "f"]


def test_damaged_compression_is_an_input_error(tmp_path):
    (tmp_path / "blob").write_bytes(gzip.compress(os.urandom(100_000))[:-5000])
    with pytest.raises(InputError, match=r"layer sha256:0+ \(m\): the "):
        unpack(str(tmp_path / "blob"), "m", "sha256:" + "0" * 64, str(tmp_path / "out"), False, DISK)
    assert os.listdir(tmp_path) == ["blob"]


def test_a_missing_blob_is_a_host_error(tmp_path):
    with pytest.raises(HostError, match="cannot be unpacked"):
        unpack(str(tmp_path / "blob"), "m", "sha256:" + "0" * 64, str(tmp_path / "out"), False, DISK)


def test_what_is_there_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("")
    with pytest.raises(HostError, match="File exists"):
        unpack("blob", "m", "sha256:" + "0" * 64, str(tmp_path / "out"), False, DISK)
    assert os.listdir(tmp_path / "out") == ["kept"]


@root_only
def test_packing_what_was_unpacked_gives_the_layer_again(tmp_path):
    rows = [
        Row("d", DIR, 0o1750, 3, 4, mtime_ns=5 * SECOND),
        Row("d/a", FILE, 0o644, 9, 9, 5, 6 * SECOND, link="d/a"),
        Row("d/b", FILE, 0o644, 9, 9, 5, 6 * SECOND, link="d/a"),
        Row("gone", DELETED),
    ]
    made = pack(snapshot(tmp_path / "s", rows), str(tmp_path))
    unpack(str(tmp_path / made.digest[7:]), "m", made.diff_id, str(tmp_path / "t"), True, DISK)
    assert pack(str(tmp_path / "t"), str(tmp_path)) == made


def deep(depth):
    return "/".join("d" * depth)


def test_depth_costs_no_stack(layers):
    rows = layers.unpack(entry(deep(2000)), folder(deep(1000)), entry("d", content=b"x"))
    assert list(rows) == ["", "d"]


def test_a_bomb_of_names_is_refused():
    tar = b"".join(entry(f"{number}/{deep(2000)}") for number in range(5))
    stream = Stream(iter([tar]))
    extraction = Extraction("", None, print, layer=True, max_tree_bytes=20_000_000)

    def add_all():
        for found in entries(stream):
            extraction.add(found, stream)

    with pytest.raises(InputError, match="too many paths"):
        add_all()


def test_python_s_own_archives_are_unpacked(layers):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("n" * 150 + "/" + "m" * 150)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    rows = layers.unpack(out.getvalue()[:-1024])
    assert list(rows)[-1] == "n" * 150 + "/" + "m" * 150
