"""unarchive: what ADD does with an archive, told by its content; anything else is left to be copied."""

import io
import os
import subprocess
import tarfile

import pytest

from jettison.base.errors import InputError
from jettison.layer.tarwrite import END, header
from jettison.layer.unpack import unarchive
from jettison.tree.disk import Disk
from jettison.tree.row import DIR, FILE, SYMLINK, Row

DISK = Disk("trusted" if os.geteuid() == 0 else "user")


def tar_of(*members):
    """A tar of (name, content), of (name, None) for a directory, and of (name, target, type) for links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content, *kind in members:
            info = tarfile.TarInfo(name)
            if kind:
                info.type, info.linkname = kind[0], content
            elif content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o711
            data = content if isinstance(content, bytes) else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


SIMPLE = tar_of(("d", None), ("d/f", b"abc"), ("missing/g", b""))


@pytest.fixture
def add(tmp_path):
    """Unpacks bytes below a directory; rows by path, or None."""
    dest = tmp_path / "dest"

    def run(data, **options):
        (tmp_path / "archive").write_bytes(data)
        dest.mkdir()
        rows = unarchive(str(tmp_path / "archive"), str(dest), DISK, **options)
        return rows and {row.path: row for row in rows}

    run.dest = dest
    return run


@pytest.mark.parametrize("program", ["cat", "gzip", "bzip2", "xz", "zstd"])
def test_archives_are_unpacked_whatever_compressed_them(add, program):
    data = subprocess.run(
        [program] if program == "cat" else [program, "-c"], input=SIMPLE, capture_output=True, check=True
    )
    rows = add(data.stdout)
    assert list(rows) == ["", "d", "d/f", "missing", "missing/g"]
    assert (rows["d"].mode, rows["d"].implied, rows["missing"].mode, rows["missing"].implied) == (
        0o711,
        False,
        0o755,
        True,
    )
    assert (add.dest / "d" / "f").read_bytes() == b"abc"
    assert (add.dest / "d").stat().st_mode & 0o7777 == 0o711


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\x1f\x8b not gzip",
        bytes(10240),
        b"BZh",
        os.urandom(5000),
        SIMPLE[:500],
        subprocess.run(["gzip", "-c"], input=b"no tar" * 1000, capture_output=True, check=True).stdout,
    ],
)
def test_what_is_no_archive_is_left_alone(add, data):
    assert add(data) is None
    assert os.listdir(add.dest) == []


def test_a_descriptor_is_given_back_at_its_start(tmp_path):
    (tmp_path / "f").write_bytes(b"#!/bin/sh\n" * 200)
    with open(tmp_path / "f", "rb", buffering=0) as file:
        assert unarchive(file.fileno(), str(tmp_path), DISK) is None
        assert file.read(4) == b"#!/b"


@pytest.mark.parametrize("data", [SIMPLE[:1100], SIMPLE[:512] + os.urandom(5000)])
def test_a_damaged_archive_is_an_error(add, data):
    with pytest.raises(InputError, match="the archive is"):
        add(data)


def test_a_path_out_is_refused(add):
    with pytest.raises(InputError, match="outside of it"):
        add(header(b"../x", b"0") + END)


def test_whiteout_names_are_names(add):
    assert set(add(tar_of((".wh.x", b"")))) == {"", ".wh.x"}


def test_directories_taken_for_granted_are_as_the_tree_has_them(add):
    tree = {"usr": Row("usr", DIR, 0o750, 3, 4), "link": Row("link", SYMLINK, target="usr")}
    rows = add(tar_of(("usr/a", b"abc"), ("link/b", b""), ("usr/hard", "usr/a", tarfile.LNKTYPE)), below=tree.get)
    assert [(row.path, row.type, row.mode, row.uid, row.implied) for row in rows.values()] == [
        ("", DIR, 0o755, 0, True),
        ("link", DIR, 0o755, 0, True),
        ("link/b", FILE, 0o644, 0, False),
        ("usr", DIR, 0o750, 3, True),
        ("usr/a", FILE, 0o644, 0, False),
        ("usr/hard", FILE, 0o644, 0, False),
    ]
    assert rows["usr/hard"].link == rows["usr/a"].link == "usr/a"
