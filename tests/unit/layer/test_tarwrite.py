"""tarwrite: what rows become, byte by byte where it matters; Python's tarfile and GNU tar read the same from it."""

import hashlib
import io
import subprocess
import tarfile

import pytest

from jettison.layer.tarwrite import END, header, layer_pieces, padding
from jettison.tree.row import BLOCK, CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row, order

SECOND = 1_000_000_000


def archive(rows, contents=None, **options):
    """The tar of rows in order; `contents` by path, else as many `x` as the size says."""
    out = io.BytesIO()
    for piece in layer_pieces(sorted(rows, key=lambda row: order(row.path)), **options):
        out.write(piece.header)
        if piece.path is not None:
            out.write((contents or {}).get(piece.path, b"x" * piece.size))
            out.write(bytes(padding(piece.size)))
    return out.getvalue() + END


def members(data):
    return tarfile.open(fileobj=io.BytesIO(data)).getmembers()


def names(data):
    return [member.name for member in members(data)]


ALL_KINDS = [
    Row("", DIR, 0o755, implied=True),
    Row("d", DIR, 0o1777, 1, 2, mtime_ns=5 * SECOND + 999),
    Row("d/f", FILE, 0o4755, 1000, 100, 5, 7 * SECOND),
    Row("d/l", SYMLINK, 0o777, target="../target"),
    Row("d.x", FIFO, 0o600),
    Row("c", CHAR, 0o666, device=(1, 3)),
    Row("b", BLOCK, 0o660, device=(259, 1048575)),
    Row("gone", DELETED),
]


def test_an_empty_layer_is_two_zero_blocks():
    assert archive([Row("", DIR, 0o755, implied=True)]) == bytes(1024)
    assert hashlib.sha256(bytes(1024)).hexdigest() == "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_the_bytes_of_every_kind_are_the_golden_ones():
    data = archive(ALL_KINDS)
    assert hashlib.sha256(data).hexdigest() == "29c8dcd7715c5ee9e87df6748064e4cdc2836580a8b37bccbad5a950961ec87d"


def test_a_header_is_plain_ustar():
    block = header(b"d/f", b"0", 0o4755, 1000, 100, 5, 7)
    assert block[:148] == b"d/f".ljust(100, b"\0") + b"0004755\x000001750\x000000144\x0000000000005\x0000000000007\0"
    assert block[156:263] == b"0" + bytes(100) + b"ustar\0"
    assert (block[263:265], block[265:]) == (b"00", bytes(247))


def test_every_kind_is_read_by_tarfile():
    found = {member.name: member for member in members(archive(ALL_KINDS))}
    assert list(found) == ["b", "c", "d", "d/f", "d/l", "d.x", ".wh.gone"]
    assert (found["d/f"].mode, found["d/f"].uid, found["d/f"].gid, found["d/f"].size) == (0o4755, 1000, 100, 5)
    assert found["d/l"].linkname == "../target"
    assert (found["b"].devmajor, found["b"].devminor) == (259, 1048575)
    assert found["d"].mtime == 5
    assert not any(member.uname or member.gname or member.pax_headers for member in found.values())


def test_a_whiteout_stands_at_the_place_of_the_name_it_hides():
    rows = [Row("a", DIR, 0o755), Row("a/b", DELETED), Row("a/c", FILE), Row("z", DELETED), Row("zz", FILE)]
    assert names(archive(rows)) == ["a", "a/.wh.b", "a/c", ".wh.z", "zz"]


def test_a_replaced_directory_is_whiteouts_of_what_it_held():
    rows = [Row("d", DIR, 0o755, opaque=True), Row("d/new", FILE), Row("d/old", DELETED)]
    assert names(archive(rows)) == ["d", "d/new", "d/.wh.old"]


def test_an_unpacked_layer_keeps_its_opaque_marks_and_its_root():
    rows = [Row("", DIR, 0o711), Row("d", DIR, 0o755, opaque=True), Row("d/new", FILE)]
    assert names(archive(rows, foreign=True)) == [".", "d", "d/.wh..wh..opq", "d/new"]
    assert names(archive(rows)) == ["d", "d/new"]


def test_the_first_of_a_link_group_here_carries_the_bytes():
    rows = [Row(path, FILE, 0o644, size=3, link="a") for path in ("b", "c")]
    data = archive([*rows, Row("d", FILE, 0o644, size=1)], {"b": b"abc"})
    found = members(data)
    assert [(member.name, member.type, member.linkname) for member in found] == [
        ("b", tarfile.REGTYPE, ""),
        ("c", tarfile.LNKTYPE, "b"),
        ("d", tarfile.REGTYPE, ""),
    ]
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        assert opened.extractfile("c").read() == b"abc"


def test_times_are_whole_seconds_and_clamped():
    rows = [Row("new", FILE, mtime_ns=10 * SECOND + 5), Row("old", FILE, mtime_ns=3 * SECOND - 1)]
    assert [member.mtime for member in members(archive(rows, clamp_epoch=7))] == [7, 2]
    assert [member.mtime for member in members(archive(rows))] == [10, 2]


LONG = "d" * 60 + "/" + "e" * 60
BEYOND_USTAR = {
    "a long name": Row("n" * 101, FILE, 0o644),
    "a long path without a place to cut": Row("p/" + "n" * 150, FILE, 0o644),
    "a very long path": Row("/".join(["x" * 99] * 4), DIR, 0o755),
    "a name that is not ASCII": Row("größe", FILE, 0o644),
    "a name that is not UTF-8": Row(b"\xff\xfe".decode("utf-8", "surrogateescape"), FILE, 0o644),
    "a long target": Row("l", SYMLINK, 0o777, target="t" * 200),
    "a target that is not ASCII": Row("l", SYMLINK, 0o777, target="ziel→"),
    "a large uid": Row("u", FILE, 0o644, uid=1_000_650_000),
    "a large gid": Row("g", FILE, 0o644, gid=4_294_967_294),
    "a time before the epoch": Row("t", FILE, 0o644, mtime_ns=-5 * SECOND),
    "a time far away": Row("t", FILE, 0o644, mtime_ns=9_000_000_000 * SECOND),
    "attributes": Row("x", FILE, 0o644, xattrs=(("security.capability", b"\1\0\0\2=\n\xff"), ("user.a", b""))),
}


@pytest.mark.parametrize("case", BEYOND_USTAR)
def test_what_ustar_cannot_say_is_said_in_pax(case):
    row = BEYOND_USTAR[case]
    data = archive([row])
    (member,) = members(data)
    told = (member.name, member.linkname, member.uid, member.gid, member.mtime)
    assert told == (row.path, row.target, row.uid, row.gid, row.mtime_ns // SECOND)
    for key, value in row.xattrs:
        assert member.pax_headers[f"SCHILY.xattr.{key}"].encode("utf-8", "surrogateescape") == value
    assert data[156:157] == b"x"


@pytest.mark.parametrize("path", ["n" * 100, LONG, "p" * 155 + "/" + "n" * 100, "a/" + "n" * 98])
def test_what_ustar_can_say_has_no_pax_header(path):
    data = archive([Row(path, FILE, 0o644)])
    assert data[156:157] == b"0"
    assert names(data) == [path]


def test_a_size_beyond_eight_gigabytes_is_said_in_pax():
    made = header(b"big", b"0", size=8 << 30)
    assert made[156:157] == b"x"
    assert b"19 size=8589934592\n" in made
    assert header(b"big", b"0", size=(8 << 30) - 1)[156:157] == b"0"


@pytest.mark.parametrize("length", range(85, 108))
def test_a_record_counts_its_own_digits(length):
    assert names(archive([Row("ä" + "n" * length, FILE)])) == ["ä" + "n" * length]


def test_gnu_tar_reads_what_tarfile_reads(tmp_path):
    (tmp_path / "a.tar").write_bytes(archive([*ALL_KINDS, *list(BEYOND_USTAR.values())[:3]]))
    listed = subprocess.run(["tar", "--numeric-owner", "-tvf", "a.tar"], cwd=tmp_path, capture_output=True, check=True)
    assert listed.stderr == b""
    shown = [line.split()[-1].rstrip("/") for line in listed.stdout.decode().replace(" -> ../target", "").splitlines()]
    assert shown == names((tmp_path / "a.tar").read_bytes())


def test_a_device_that_no_header_holds_is_an_error():
    with pytest.raises(ValueError, match="device"):
        header(b"c", b"3", device=(1, 1 << 21))
