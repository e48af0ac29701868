"""unpack: nothing outside is touched, and a layer that is wrong, hostile or damaged leaves nothing."""

import gzip
import io
import os
import tarfile

import pytest
from snapshots import snapshot
from tars import DISK, SECOND, entry, folder, layers, link, on_disk, root_only, symlink

from jettison.base.errors import HostError, InputError
from jettison.layer.extract import Extraction
from jettison.layer.pack import pack
from jettison.layer.stream import Stream
from jettison.layer.tarread import entries
from jettison.layer.tarwrite import END, header
from jettison.layer.unpack import unpack
from jettison.tree.row import DELETED, DIR, FILE, Row

__all__ = ["layers", "on_disk"]


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
    with pytest.raises(InputError, match="too many paths"):
        add_all(20_000_000, (entry(f"{number}/{deep(2000)}") for number in range(5)))


def test_a_bomb_of_spellings_is_refused():
    with pytest.raises(InputError, match="too many paths"):
        add_all(1_000_000, (entry("/" * number + "d/f") for number in range(2000)))


def add_all(max_tree_bytes, made):
    stream = Stream(iter([b"".join(made)]))
    extraction = Extraction("", None, print, layer=True, max_tree_bytes=max_tree_bytes)
    for found in entries(stream):
        extraction.add(found, stream)


def test_python_s_own_archives_are_unpacked(layers):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("n" * 150 + "/" + "m" * 150)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    rows = layers.unpack(out.getvalue()[:-1024])
    assert list(rows)[-1] == "n" * 150 + "/" + "m" * 150
