"""A file that grows while it is read: by as many pieces as its writer likes, and to where the writer ends."""

import gzip
import hashlib
import os
import threading

import pytest

from jettison.base.errors import InputError
from jettison.layer.growing import Growing
from jettison.layer.tarwrite import END, header
from jettison.layer.unpack import unpack
from jettison.tree.disk import Disk
from jettison.tree.manifest import read_rows

TAR = header(b"file", b"0", 0o644, size=512) + os.urandom(512) + END
BLOB = gzip.compress(TAR)
DIFF_ID = "sha256:" + hashlib.sha256(TAR).hexdigest()


class Writer:
    """Writes pieces, each followed by a note, from a thread of its own."""

    def __init__(self, path):
        self._out = os.open(path, os.O_WRONLY | os.O_CREAT)
        self._file = os.open(path, os.O_RDONLY)
        self._notes, self._note = os.pipe()

    def write(self, *pieces):
        for piece in pieces:
            os.write(self._out, piece)
            os.write(self._note, b".")
        os.close(self._note)

    def reading(self):
        return Growing(self._file, self._notes)

    def close(self):
        os.close(self._out)
        os.close(self._file)
        os.close(self._notes)


@pytest.fixture
def writer(tmp_path):
    made = Writer(tmp_path / "blob")
    yield made
    made.close()


def written(writer, *pieces):
    """What a reader makes of it: it begins before the first piece is there."""
    thread = threading.Thread(target=writer.write, args=pieces)
    reading = writer.reading()
    thread.start()
    found = b""
    while data := reading.read(1000):
        found += data
    thread.join()
    return found


def test_all_is_read_in_order(writer):
    pieces = [os.urandom(size) for size in (1, 3000, 0, 70_000)]
    assert written(writer, *pieces) == b"".join(pieces)


def test_nothing_is_an_end_too(writer):
    assert written(writer) == b""


def test_what_comes_before_the_last_note_is_read(writer):
    writer.write(b"early")
    reading = writer.reading()
    assert (reading.read(10), reading.read(10), reading.read(10)) == (b"early", b"", b"")


def test_a_layer_is_unpacked_byte_by_byte(writer, tmp_path):
    thread = threading.Thread(target=writer.write, args=[bytes((each,)) for each in BLOB])
    thread.start()
    unpack(writer.reading(), "m", DIFF_ID, str(tmp_path / "out"), False, Disk("user"))
    thread.join()
    assert [row.path for row in read_rows(str(tmp_path / "out"))] == ["", "file"]


def test_a_writer_that_dies_leaves_nothing(writer, tmp_path):
    writer.write(BLOB[:-20])
    with pytest.raises(InputError, match="cut off"):
        unpack(writer.reading(), "m", DIFF_ID, str(tmp_path / "out"), False, Disk("user"))
    assert os.listdir(tmp_path) == ["blob"]
