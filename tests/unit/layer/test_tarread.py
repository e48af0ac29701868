"""tarread: what Python's tarfile and GNU tar write is read, and what nobody should write is refused."""

import io
import os
import struct
import subprocess
import tarfile

import pytest

from jettison.base.errors import InputError
from jettison.layer.stream import Stream
from jettison.layer.tarread import HARD_LINK, MAX_EXTENSION_BYTES, entries, is_tar
from jettison.layer.tarwrite import END, header

LONG = "/".join(["d" * 90] * 3)


def chunks(data, size=1000):
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data, size=1000):
    """Entries with their content, from chunks of an awkward size."""
    stream = Stream(chunks(data, size))
    return [(entry, stream.read(entry.stored)) for entry in entries(stream)]


def written(tar_format, *infos):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as archive:
        for info, data in infos:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name, kind=tarfile.REGTYPE, **more):
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in more.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tarfile_is_read(tar_format):
    data = written(
        tar_format,
        (info("d", tarfile.DIRTYPE, mode=0o1777, uid=5, gid=6, mtime=9), b""),
        (info("d/f", mode=0o4755), b"x" * 1500),
        (info("d/h", tarfile.LNKTYPE, linkname="d/f"), b""),
        (info("s", tarfile.SYMTYPE, linkname="d/f"), b""),
        (info("c", tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("b", tarfile.BLKTYPE, devmajor=8, devminor=0), b""),
        (info("p", tarfile.FIFOTYPE), b""),
    )
    found = read(data)
    assert [(entry.name.rstrip("/"), entry.kind, entry.target, content) for entry, content in found] == [
        ("d", "d", "", b""),
        ("d/f", "f", "", b"x" * 1500),
        ("d/h", HARD_LINK, "d/f", b""),
        ("s", "l", "d/f", b""),
        ("c", "c", "", b""),
        ("b", "b", "", b""),
        ("p", "p", "", b""),
    ]
    first = found[0][0]
    assert (first.mode, first.uid, first.gid, first.mtime_ns) == (0o1777, 5, 6, 9_000_000_000)
    assert (found[4][0].device, found[5][0].device) == ((1, 3), (8, 0))


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_is_long_large_or_foreign_is_read(tar_format):
    data = written(
        tar_format,
        (info(LONG + "/größe", uid=1 << 31, gid=(1 << 32) - 2), b"1"),
        (info("l", tarfile.SYMTYPE, linkname=LONG * 2), b""),
        (info("t", mtime=-5), b""),
    )
    (one, _), (two, _), (three, _) = read(data)
    assert (one.name, one.uid, one.gid) == (LONG + "/größe", 1 << 31, (1 << 32) - 2)
    assert two.target == LONG * 2
    assert three.mtime_ns == -5_000_000_000


def test_a_fraction_of_a_time_is_exact():
    made = info("f", mtime=0)
    made.pax_headers = {"mtime": "1700000000.123456789"}
    ((entry, _),) = read(written(tarfile.PAX_FORMAT, (made, b"")))
    assert entry.mtime_ns == 1_700_000_000_123_456_789


def test_a_split_ustar_name_is_joined():
    ((entry, _),) = read(header(LONG[:190].encode(), b"0") + END)
    assert entry.name == LONG[:190]


def test_attributes_are_bytes():
    made = header(b"f", b"0", xattrs=(("security.capability", b"\0\1=\n\xff"), ("user.empty", b"")))
    ((entry, _),) = read(made + END)
    assert entry.xattrs == (("security.capability", b"\0\1=\n\xff"), ("user.empty", b""))


def test_old_archives_are_read():
    block = bytearray(header(b"old/", b"\0", 0o755) + header(b"f", b"\0", 0o644, size=3))
    for at in (0, 512):
        block[at + 257 : at + 512] = bytes(255)
        block[at + 148 : at + 156] = b" " * 8
        block[at + 148 : at + 156] = b"%06o\0 " % sum(block[at : at + 512])
    found = read(bytes(block) + b"abc" + bytes(509) + END)
    assert [(entry.name, entry.kind, content) for entry, content in found] == [("old/", "d", b""), ("f", "f", b"abc")]


@pytest.mark.parametrize("size_form", ["%011o\0", "%011o ", "%012o", "%11o ", "%o\0\0\0"])
@pytest.mark.parametrize("sum_form", ["%06o\0 ", "%06o  ", "%6o\0 ", "%07o\0", "%07o "])
@pytest.mark.parametrize("kind", [b"0", b"5", b"\0", b"7"])
def test_numbers_are_read_however_they_are_written(kind, size_form, sum_form):
    block = bytearray(header(b"f", kind, 0o640, uid=7, gid=8, mtime=9)[-512:])
    size = 0 if kind == b"5" else 5
    block[124:136] = (size_form % size).encode().ljust(12, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = (sum_form % sum(block)).encode()
    ((entry, content),) = read(bytes(block) + (b"12345" + bytes(507) if size else b"") + END)
    assert (entry.name, entry.kind, entry.size, content) == ("f", "d" if kind == b"5" else "f", size, b"12345"[:size])
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (0o640, 7, 8, 9_000_000_000)


@pytest.mark.parametrize("field", [b"1_000000005", b"00000000 05", b"00000000008", b"+0000000005"])
def test_what_python_takes_for_a_number_is_none(field):
    block = bytearray(header(b"f", b"0"))
    block[124:136] = field + b"\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(InputError, match="a size is no number"):
        read(bytes(block) + END)


def test_a_sum_is_exact_where_it_is_large():
    block = bytearray(b"\xff" * 512)
    block[148:156] = b"%06o\0 " % (504 * 255 + 8 * 32)
    assert is_tar(bytes(block))
    block[148:156] = b"%06o\0 " % (504 * 255 + 8 * 32 - 65521)
    assert not is_tar(bytes(block))


def test_a_sum_of_signed_bytes_is_accepted():
    block = bytearray(header("ä".encode() * 5, b"0")[-512:])
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(struct.unpack("512b", block))
    assert is_tar(bytes(block))


def test_a_global_header_is_read_over():
    body = b"21 size=999999999999\n"
    data = (
        header(b"g", b"g", size=len(body))
        + body.ljust(512, b"\0")
        + header(b"f", b"0", size=1)
        + b"x".ljust(512, b"\0")
    )
    assert [(entry.name, content) for entry, content in read(data + END)] == [("f", b"x")]


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=pax"],
        *(["--format=pax", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0")),
    ],
)
def test_sparse_files_of_gnu_tar_are_read(tmp_path, options):
    with open(tmp_path / "f", "wb") as file:
        for place in range(60):
            file.seek(place * 300_000)
            file.write(b"%d" % place * 5000)
        file.truncate(60 * 300_000)
    subprocess.run(["tar", "-cSf", "a.tar", *options, "f"], cwd=tmp_path, check=True)
    stream = Stream(chunks((tmp_path / "a.tar").read_bytes(), 4096))
    again = bytearray()
    for entry in entries(stream):
        assert (entry.name, entry.size) == ("f", 60 * 300_000)
        again = bytearray(entry.size)
        for offset, length in entry.pieces:
            again[offset : offset + length] = stream.read(length)
    assert bytes(again) == (tmp_path / "f").read_bytes()


def test_the_content_left_unread_is_skipped():
    data = written(tarfile.PAX_FORMAT, (info("a"), b"a" * 5000), (info("b"), b"b"))
    assert [entry.name for entry in entries(Stream(chunks(data, 700)))] == ["a", "b"]


def test_an_archive_may_end_without_its_end():
    whole = header(b"f", b"0", size=1) + b"x".ljust(512, b"\0")
    assert [entry.name for entry, _ in read(whole)] == ["f"]


def pax(body):
    return header(b"x", b"x", size=len(body)) + body + bytes(-len(body) % 512) + header(b"f", b"0") + END


def sparse(pieces, real, stored):
    block = bytearray(header(b"s", b"S", size=stored))
    block[257:265] = b"ustar  \0"
    for number, value in enumerate(pieces):
        block[386 + 12 * number : 398 + 12 * number] = b"%011o\0" % value
    block[483:495] = b"%011o\0" % real if real < 1 << 33 else b"\x80" + real.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(stored + -stored % 512) + END


def changed(at, data, size=0):
    block = bytearray(header(b"f", b"0", size=size))
    block[at : at + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + END


HOSTILE = {
    "a wrong sum": header(b"f", b"0").replace(b"f", b"g", 1) + END,
    "a cut header": header(b"f", b"0")[:100],
    "cut content": header(b"f", b"0", size=5000) + b"x" * 600,
    "nothing after an extension": header(b"x", b"x"),
    "something after one zero block": bytes(512) + header(b"f", b"0"),
    "a type that nobody knows": header(b"f", b"Z") + END,
    "a size that is no number": changed(124, b"zz"),
    "a size with an underscore": changed(124, b"0000000_1"),
    "a size below zero": changed(124, b"\xff" * 12),
    "a huge size": changed(124, b"\x80\x7f" + b"\xff" * 10),
    "a uid that is too large": changed(108, b"\x80\0\0\1\0\0\0\0"),
    "a huge extension": header(b"x", b"x", size=MAX_EXTENSION_BYTES + 1) + END,
    "a uid that means none": changed(108, b"\x80\0\0\0\xff\xff\xff\xff"),
    "a device of which Linux would cut off bits": header(b"c", b"3", device=(4096, 0)) + END,
    "an attribute without a name": pax(b"18 SCHILY.xattr.=x\n"),
    "an attribute with a NUL": pax(b"22 SCHILY.xattr.a\0b=x\n"),
    "a record that is too long": pax(b"99 path=x\n"),
    "a record of no length": pax(b" path=x\n"),
    "a record of length zero": pax(b"0 path=x\n"),
    "a record without a line end": pax(b"9 path=xy"),
    "a record without a key": pax(b"5 xy\n"),
    "a record with a sign": pax(b"+9 path=x\n"),
    "a name with a NUL": pax(b"12 path=a\0b\n"),
    "a size in PAX below zero": pax(b"11 size=-1\n"),
    "a time that is none": pax(b"13 mtime=1e9\n"),
    "sparse pieces that overlap": sparse([0, 10, 5, 10], 100, 20),
    "sparse pieces beyond the end": sparse([0, 10, 95, 10], 100, 20),
    "sparse pieces that are not there": sparse([0, 10], 100, 500),
    "a sparse file of a pebibyte": sparse([0, 10], 1 << 50, 10),
    "a sparse map that is no number": pax(b"28 GNU.sparse.map=0,1,x,2,3\n" + b"22 GNU.sparse.size=10\n"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_wrong_is_an_input_error(case):
    with pytest.raises(InputError, match="the archive"):
        read(HOSTILE[case])


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (header(b"f", b"0"), True),
        (header(b"x", b"x"), True),
        (bytes(1024), False),
        (b"", False),
        (b"#!/bin/sh\n" * 100, False),
        (header(b"f", b"0")[:511], False),
        (os.urandom(512), False),
    ],
)
def test_an_archive_is_told_by_its_first_header(data, answer):
    assert is_tar(data) is answer
