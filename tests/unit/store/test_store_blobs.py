"""Blobs: verified on the way in, whole or not there."""

import os

import pytest

from jettison.base.digest import digest_of
from jettison.base.errors import Cancelled, HostError, InputError
from jettison.store.store import Store

DATA = b"payload" * 1000
DIGEST = digest_of(DATA)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def files(store: Store) -> list[str]:
    return [name for _, _, names in os.walk(f"{store.root}/tmp") for name in names] + os.listdir(store.blobs.directory)


def test_what_came_in_is_there(store: Store):
    with store.blobs.ingest(DIGEST, len(DATA)) as writer:
        writer.write(DATA[:10])
        assert not store.blobs.has(DIGEST)
        writer.write(memoryview(DATA)[10:])
    assert store.blobs.has(DIGEST)
    assert store.blobs.read(DIGEST) == DATA
    assert store.blobs.size(DIGEST) == len(DATA)
    assert files(store) == [DIGEST[7:]]


def test_other_bytes_are_refused_and_leave_nothing(store: Store):
    with pytest.raises(InputError, match="digest mismatch"), store.blobs.ingest(DIGEST) as writer:
        writer.write(b"something else")
    assert not store.blobs.has(DIGEST)
    assert files(store) == []


def test_too_many_bytes_are_refused_before_they_are_written(store: Store):
    def too_much() -> None:
        with store.blobs.ingest(DIGEST, 3) as writer:
            writer.write(b"abc")
            writer.write(b"d" * 100)

    with pytest.raises(InputError, match="longer than the 3 bytes"):
        too_much()
    assert files(store) == []


def test_too_few_bytes_are_refused(store: Store):
    with pytest.raises(InputError, match="has 2 bytes instead of 3"), store.blobs.ingest(DIGEST, 3) as writer:
        writer.write(b"ab")
    assert files(store) == []


def test_an_interruption_leaves_nothing(store: Store):
    def interrupted() -> None:
        with store.blobs.ingest(DIGEST) as writer:
            writer.write(DATA[:10])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(store) == []


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "a" * 64, "sha256:" + "A" * 64])
def test_only_digests_name_blobs(store: Store, digest: str):
    with pytest.raises(ValueError, match="not a sha256 digest"):
        store.blobs.path(digest)


def test_a_missing_blob_is_an_error_with_a_hint(store: Store):
    assert store.blobs.size(DIGEST) is None
    with pytest.raises(HostError, match="not in the store"):
        store.blobs.read(DIGEST)


def test_a_document_has_a_limit(store: Store):
    store.blobs.put(DATA)
    with pytest.raises(HostError, match="longer than the 10 bytes"):
        store.blobs.read(DIGEST, 10)


def test_a_document_that_a_power_cut_harmed_is_kept_anew(store: Store):
    assert store.blobs.put_document(DATA) == DIGEST
    assert store.blobs.document(DIGEST) == DATA
    with open(store.blobs.path(DIGEST), "r+b") as file:
        file.truncate(len(DATA) // 2)
    assert store.blobs.put_document(DATA) == DIGEST
    assert store.blobs.document(DIGEST) == DATA
    assert os.listdir(store.lease.tmp()) == []


def test_a_blob_is_fetched_once(store: Store):
    asked = []

    def chunks():
        asked.append(1)
        yield DATA

    assert store.blobs.fetch(DIGEST, len(DATA), chunks, None)
    assert not store.blobs.fetch(DIGEST, len(DATA), chunks, None)
    assert asked == [1]


def test_a_wait_for_another_build_can_be_called_off(store: Store, tmp_path):
    class Set:
        def is_set(self) -> bool:
            return True

    with (
        Store.open(str(tmp_path)) as other,
        other.blobs.lock(DIGEST),
        pytest.raises(Cancelled),
        store.blobs.lock(DIGEST, Set()),
    ):
        pass
    with store.blobs.lock(DIGEST, Set()):
        pass
    assert os.listdir(f"{store.root}/locks/blobs") == []


def test_a_packed_layer_is_moved_in(store: Store):
    with store.scratch() as directory:
        path = f"{directory}/blob"
        with open(path, "wb") as file:
            file.write(DATA)
        store.blobs.adopt(path, DIGEST)
    assert store.blobs.read(DIGEST) == DATA
    assert not os.path.exists(path)
