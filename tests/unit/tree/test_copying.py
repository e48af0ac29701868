"""One file's bytes: whatever way is taken, all of them arrive, are summed, and go past the outlet."""

import os

import pytest

from jettison.base.digest import digest_of
from jettison.tree.copying import NOWHERE, copy_bytes, copy_summed, copy_through

SIZES = pytest.mark.parametrize("size", [0, 5, 131_071, 131_072, 131_073, 400_000, 3_000_000])
EXPECTED = pytest.mark.parametrize("expected", [0, 5, 131_072, 400_000, 10**7])  # a file may change


class Seen:
    """An outlet that keeps what goes past it."""

    def __init__(self, room=70_000):
        self.begun = []
        self.data = b""
        self._room = memoryview(bytearray(room))

    def begin(self, size_bytes):
        self.begun.append(size_bytes)

    def room(self):
        return self._room

    def put(self, count):
        self.data += bytes(self._room[:count])


@pytest.fixture
def pair(tmp_path):
    """Makes a file with that many bytes; descriptors of it, of an empty one, and the bytes."""
    opened = []

    def made(size):
        data = os.urandom(size)
        (tmp_path / "a").write_bytes(data)
        opened.append(os.open(tmp_path / "a", os.O_RDONLY))
        opened.append(os.open(tmp_path / "b", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        return opened[-2], opened[-1], data

    yield made
    for fd in opened:
        os.close(fd)


def written(target):
    return os.pread(target, 1 << 24, 0)


@SIZES
@EXPECTED
def test_copied(pair, size, expected):
    source, target, data = pair(size)
    assert copy_bytes(source, target, expected) == size
    assert written(target) == data


@SIZES
@EXPECTED
def test_copied_and_summed(pair, size, expected):
    source, target, data = pair(size)
    assert copy_summed(source, target, expected) == (size, digest_of(data))
    assert written(target) == data


@SIZES
@EXPECTED
@pytest.mark.parametrize("room", [70_000, 1 << 20])
def test_copied_past_an_outlet(pair, size, expected, room):
    source, target, data = pair(size)
    seen = Seen(room)
    assert copy_through(source, target, expected, seen) == (size, digest_of(data))
    assert (written(target), seen.data, seen.begun) == (data, data, [expected])


@SIZES
def test_only_read(pair, size):
    source, target, data = pair(size)
    seen = Seen()
    assert copy_through(source, NOWHERE, size, seen, "sha256:known") == (size, "sha256:known")
    assert (written(target), seen.data) == (b"", data)


@pytest.mark.parametrize("way", [copy_bytes, copy_summed, lambda *words: copy_through(*words, Seen())])
def test_what_the_kernel_copies_no_ranges_of_is_read(pair, way):
    _, target, _ = pair(0)
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    way(reading, target, 1 << 20)
    os.close(reading)
    assert written(target) == b"through a pipe"


@pytest.mark.parametrize("way", [copy_bytes, copy_summed, lambda *words: copy_through(*words, Seen())])
def test_a_file_whose_size_is_not_its_own_is_read(pair, way):
    """As in /proc, where the kernel would copy nothing and call it done."""
    _, target, _ = pair(0)
    source = os.open("/proc/version", os.O_RDONLY)
    way(source, target, 1 << 20)
    assert written(target) == os.pread(source, 4096, 0)
    os.close(source)
