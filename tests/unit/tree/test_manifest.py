"""Manifests and heads: what is written comes back, and what is damaged or hostile is refused."""

import hashlib
import os

import msgspec
import pytest

from jettison.base.errors import HostError, InternalError
from jettison.tree.manifest import Head, read_head, read_manifest, read_rows, write_head, write_rows
from jettison.tree.row import DELETED, DIR, FILE, SYMLINK, Row

ROWS = [
    Row("", DIR, 0o755, implied=True),
    Row("a", DIR, 0o1777, 5, 6, mtime_ns=-7),
    Row("a/b", FILE, 0o4755, 2**31, 1, 2**40, 3, xattrs=(("user.x", b"\xff\0"),), link="a/b", digest="sha256:0"),
    Row("a.c", SYMLINK, 0o777, target="../x\ny"),
    Row("z", DELETED),
]


def test_rows_come_back_in_order(tmp_path):
    write_rows(str(tmp_path), [ROWS[3], *ROWS[:3], ROWS[4]])
    assert read_rows(str(tmp_path)) == ROWS
    assert os.listdir(tmp_path) == ["manifest"]


def test_names_that_are_not_utf8(tmp_path):
    rows = [Row("caf\udce9", DIR), Row("caf\udce9/é", SYMLINK, target="\udcff/é"), Row("é", FILE, link="é")]
    write_rows(str(tmp_path), rows)
    assert read_rows(str(tmp_path)) == rows


def test_no_rows(tmp_path):
    write_rows(str(tmp_path), [])
    assert read_rows(str(tmp_path)) == []


@pytest.mark.parametrize("path", ["/a", "a/", "..", "../a", "a/../b", "a/..", ".", "a/./b", "a//b", "a\0b", "/"])
def test_a_path_that_leads_elsewhere_is_neither_written_nor_read(tmp_path, path):
    rows = [Row("", DIR), Row("ok", DIR), Row(path, FILE)]
    with pytest.raises(InternalError):
        write_rows(str(tmp_path), rows)
    body = msgspec.msgpack.encode(rows)
    (tmp_path / "manifest").write_bytes(b"JTSM1\0" + hashlib.sha256(body).digest() + body)
    with pytest.raises(HostError, match="damaged"):
        read_rows(str(tmp_path))


def test_a_path_twice_and_an_unknown_type(tmp_path):
    with pytest.raises(InternalError, match="twice"):
        write_rows(str(tmp_path), [Row("a", FILE), Row("a", DIR)])
    with pytest.raises(InternalError, match="unknown type"):
        write_rows(str(tmp_path), [Row("a", "x")])


def test_any_flipped_or_missing_byte_is_noticed(tmp_path):
    write_rows(str(tmp_path), ROWS)
    path = tmp_path / "manifest"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        with pytest.raises(HostError, match="damaged"):
            read_rows(str(tmp_path))
        path.write_bytes(whole[:at])
        with pytest.raises(HostError, match="damaged"):
            read_rows(str(tmp_path))


def test_a_missing_one_and_a_symlink_are_refused(tmp_path):
    with pytest.raises(HostError, match="cannot read"):
        read_rows(str(tmp_path))
    write_rows(str(tmp_path), ROWS)
    (tmp_path / "manifest").rename(tmp_path / "other")
    (tmp_path / "manifest").symlink_to("other")
    with pytest.raises(HostError, match="cannot read"):
        read_rows(str(tmp_path))


def test_the_head_comes_back(tmp_path):
    head = Head(tier="rootless", uid_map=((0, 1000, 1), (1, 100000, 65536)), created_s=5, files=False, unpacked=True)
    write_head(str(tmp_path), head)
    assert read_head(str(tmp_path)) == head


def test_a_newer_head_is_refused_and_unknown_fields_are_not(tmp_path):
    (tmp_path / "head").write_bytes(msgspec.json.encode({"store_version": 1, "later": True}))
    assert read_head(str(tmp_path)) == Head()
    (tmp_path / "head").write_bytes(msgspec.json.encode({"store_version": 99}))
    with pytest.raises(HostError, match="store version 99"):
        read_head(str(tmp_path))
    (tmp_path / "head").write_bytes(b"{")
    with pytest.raises(HostError, match="damaged"):
        read_head(str(tmp_path))


# What looks like the beginning of a row, of the root's row, or of another path, within a row.
_MARK = msgspec.msgpack.encode(Row("", FILE))[:1]
_TRICKY = [
    Row("", DIR, 0o755, xattrs=(("user.a", _MARK + b"\xa0\xa1d"), ("user.b", _MARK * 9)), mtime_ns=0x9E9E9E9E),
    Row("a", DIR, implied=True),
    Row("a/Þ", FILE, mtime_ns=0x9EA0A161),
    Row("etc", SYMLINK, target="opt"),
    Row("option", FILE, xattrs=(("user.a", _MARK + b"\xa3usr"),)),
]
_MANY = [Row(f"many/{number}", FILE) for number in range(500)]


@pytest.mark.parametrize("more", [[], [Row("caf\udce9", FILE)]], ids=["plain", "escaped"])
@pytest.mark.parametrize("tricky", [_TRICKY, _TRICKY[1:]], ids=["with a root", "without"])
def test_what_is_told_without_decoding_is_what_the_rows_say(tmp_path, tricky, more):
    rows = [*tricky, *_MANY, *more]
    write_rows(str(tmp_path), rows)
    manifest = read_manifest(str(tmp_path))
    known = {row.path: row for row in manifest.rows()}
    assert manifest.count == len(known) == len(rows)
    assert manifest.root() == known.get("")
    assert not any(manifest.lacks(path) for path in known)
    assert [manifest.lacks(path) for path in ("many/500", "man", "caf\udcff")] == [not more] * 3


def test_a_manifest_of_the_root_alone(tmp_path):
    write_rows(str(tmp_path), ROWS[:1])
    manifest = read_manifest(str(tmp_path))
    assert (manifest.count, manifest.root(), manifest.lacks("a")) == (1, ROWS[0], True)
