"""Bytes that are kept and read at once: what the reader sees, and what becomes of them when it fails."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator

import pytest

from jettison.app.streamed import Streamed
from jettison.base.errors import InputError
from jettison.layer.growing import Growing
from jettison.store.store import Store

DATA = os.urandom(3 << 20)
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()
PIECE = 100_000


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    with Store.open(str(tmp_path)) as opened:
        yield opened


def pieces() -> list[bytes]:
    return [DATA[at : at + PIECE] for at in range(0, len(DATA), PIECE)]


def whole(growing: tuple[int, int], seen: list[bytes]) -> None:
    reading = Growing(*growing)
    while data := reading.read(1 << 16):
        seen.append(data)


def keep(store: Store, streamed: Streamed) -> Streamed:
    """Keep all of DATA in the store, and have it read."""
    with streamed, store.blobs.ingest(DIGEST, len(DATA)) as kept:
        sink = streamed.tee(kept)
        for piece in pieces():
            sink.write(piece)
        assert sink.digest == DIGEST
    return streamed


def test_what_is_kept_is_read_too(store: Store):
    seen: list[bytes] = []
    assert keep(store, Streamed(lambda *growing: whole(growing, seen))).worked
    assert b"".join(seen) == DATA == store.blobs.read(DIGEST)


def test_the_reader_is_done_before_the_blob_is_on_the_disk(store: Store):
    done = threading.Event()

    def read(*growing: int) -> None:
        whole(growing, [])
        done.set()

    with Streamed(read) as streamed, store.blobs.ingest(DIGEST, len(DATA)) as kept:
        streamed.tee(kept).write(DATA)
        assert done.wait(timeout=30)
        assert not store.blobs.has(DIGEST)
    assert store.blobs.has(DIGEST)


@pytest.mark.parametrize("fault", [InputError("no archive"), LookupError("a mistake")])
def test_a_reader_that_fails_stops_no_download(store: Store, fault: Exception):
    def fail(*growing: int) -> None:
        Growing(*growing).read(10)
        raise fault

    with pytest.raises(type(fault)):
        keep(store, Streamed(fail))
    assert store.blobs.read(DIGEST) == DATA


def pouring(growing: tuple[int, int], seen: list[bytes]) -> None:
    whole(growing, seen)
    if b"".join(seen) != DATA:
        raise InputError("no blob")


def test_what_is_begun_anew_is_kept_and_not_read(store: Store):
    seen: list[bytes] = []
    with (
        Streamed(lambda *growing: pouring(growing, seen)) as streamed,
        store.blobs.ingest(DIGEST, len(DATA)) as kept,
    ):
        sink = streamed.tee(kept)
        sink.write(b"lies")
        sink.restart()
        for piece in pieces():
            sink.write(piece)
    assert streamed.worked == (b"".join(seen) == DATA)  # it may have looked before, between or after
    assert store.blobs.read(DIGEST) == DATA


def test_another_source_is_kept_and_not_read(store: Store):
    seen: list[bytes] = []
    with Streamed(lambda *growing: pouring(growing, seen)) as streamed:
        with pytest.raises(InputError), store.blobs.ingest(DIGEST, len(DATA)) as kept:
            streamed.tee(kept).write(DATA[:PIECE])
        with store.blobs.ingest(DIGEST, len(DATA)) as kept:
            streamed.tee(kept).write(DATA)
    assert not streamed.worked
    assert b"".join(seen) == DATA[:PIECE]
    assert store.blobs.read(DIGEST) == DATA


def test_nothing_is_read_where_nothing_comes(store: Store):
    del store
    with Streamed(whole_is_not_asked) as streamed:
        assert not streamed.worked
    assert not streamed.worked


def whole_is_not_asked(*growing: int) -> None:
    raise AssertionError(growing)


def test_a_download_that_fails_ends_the_reader(store: Store):
    seen: list[bytes] = []
    with (
        pytest.raises(InputError, match="has 4 bytes instead of"),
        Streamed(lambda *growing: whole(growing, seen)) as streamed,
        store.blobs.ingest(DIGEST, len(DATA)) as kept,
    ):
        streamed.tee(kept).write(b"half")
    assert b"".join(seen) == b"half"
    assert not store.blobs.has(DIGEST)
