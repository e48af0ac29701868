"""The conveyor: whoever makes the files, the sink hears of them in order, and of every byte."""

import errno
import os

import pytest

from jettison.base.errors import InputError, InternalError
from jettison.tree.conveyor import SLOT_BYTES, convey

WORKERS = pytest.mark.parametrize("workers", [0, 1, 2, 5])


class Heard:
    """A sink that keeps what it hears."""

    def __init__(self):
        self.files = []
        self._data, self._size = b"", None

    def begin(self, number, size_bytes):
        assert number == len(self.files)
        self._size = size_bytes

    def write(self, data):
        assert self._size is not None
        self._data += bytes(data)

    def end(self, number, result):
        assert number == len(self.files)
        self.files.append((self._size, self._data, result))
        self._data, self._size = b"", None


def fill(outlet, data):
    """Put `data` out, as a reader of a file would."""
    outlet.begin(len(data))
    at = 0
    while at < len(data):
        room = outlet.room()
        count = min(len(room), len(data) - at)
        room[:count] = data[at : at + count]
        outlet.put(count)
        at += count


def of(number):
    """The bytes of item number so-and-so: none, few, or more than all slots of a worker hold."""
    size = (0, 5, 3_000, SLOT_BYTES, 5 * SLOT_BYTES + 7)[number % 5] if number < 25 else number % 9
    return bytes([number % 256]) * size


def make(number, outlet):
    if of(number):
        fill(outlet, of(number))
    return f"made {number}"


@WORKERS
@pytest.mark.parametrize("count", [0, 1, 30, 500])
def test_every_file_is_heard_of_in_order_and_whole(workers, count):
    heard = Heard()
    convey(make, range(count), heard, workers=workers, sizes=[len(of(number)) for number in range(count)])
    assert heard.files == [(len(of(n)) or None, of(n), f"made {n}") for n in range(count)]


@WORKERS
def test_items_without_bytes_are_heard_of(workers):
    heard = Heard()
    convey(lambda item, _: item * 2, range(1_000), heard, workers=workers)
    assert [result for _, _, result in heard.files] == [number * 2 for number in range(1_000)]


@WORKERS
@pytest.mark.parametrize("bad", [0, 130])
@pytest.mark.parametrize(
    "error", [InputError("broken", hint="mend it"), OSError(errno.ENOSPC, "full", "/x"), ValueError("odd")]
)
def test_a_fault_in_any_process_is_raised_when_all_have_ended(workers, bad, error):
    def work(number, outlet):
        if number == bad:
            raise error
        return make(number, outlet)

    kind = InternalError if isinstance(error, ValueError) and workers > 1 else type(error)
    heard = Heard()
    with pytest.raises(kind) as caught:
        convey(work, range(200), heard, workers=workers)
    if kind is InputError:
        assert caught.value.hint == "mend it"
    elif kind is OSError:
        assert caught.value.errno == errno.ENOSPC
    assert all(result == f"made {number}" for number, (_, _, result) in enumerate(heard.files))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_sink_that_refuses_ends_the_workers():
    class Full(Heard):
        def write(self, data):
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        convey(make, range(200), Full(), workers=2)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_process_that_dies_is_noticed():
    def work(number, _):
        if number == 0:
            os._exit(1)

    with pytest.raises(InternalError, match="ended without an answer"):
        convey(work, range(4), Heard(), workers=2)


@WORKERS
def test_no_descriptor_is_left(workers):
    before = os.listdir("/proc/self/fd")
    convey(make, range(30), Heard(), workers=workers)
    assert os.listdir("/proc/self/fd") == before
