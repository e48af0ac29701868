"""The cache document: what is written is read back; what is none is refused, whatever its bytes."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.base.errors import InputError
from jettison.oci.cachedoc import (
    CACHE,
    INLINE_MEMBER,
    MAX_CACHE_BYTES,
    MAX_PARTS,
    MAX_REFERENCES,
    CachedLayer,
    CachedMount,
    CacheDocument,
    CachedOrigin,
    CachedResult,
    cache_bytes,
    cache_manifest,
    inline_bytes,
    inline_value,
    parse_cache,
)
from jettison.oci.documents import Descriptor
from jettison.oci.parse import parse_manifest


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


BLOB = Descriptor(media_type="m", digest=digest(1), size=3)
ELSEWHERE = msgspec.structs.replace(BLOB, urls=("http://x",))
MADE = CachedOrigin(op=digest(8), place="linux/amd64#build.2", parts=("env V", "~1", "input 0", "~2"))
DOCUMENT = CacheDocument(
    schema=1,
    key_version="1",
    layers=(CachedLayer(diff_id=digest(2)), CachedLayer(diff_id=digest(3), blob=BLOB, created_s=5, tar_bytes=512)),
    results=(CachedResult(keys=(digest(4), digest(5)), id=digest(6), layers=(0, 1), added=1, made=MADE),),
    mounts=(CachedMount(name=digest(7), label="/root/.cache", blob=BLOB),),
)


def result(**change: object) -> CachedResult:
    """A result that says this of where it was made."""
    return CachedResult(keys=(digest(4),), id=digest(6), made=msgspec.structs.replace(MADE, **change))


def test_what_is_written_is_read_back():
    assert parse_cache(cache_bytes(DOCUMENT), "1") == DOCUMENT


def test_members_that_are_not_known_are_passed_over():
    plain = json.loads(cache_bytes(DOCUMENT)) | {"later": [1, 2]}
    assert parse_cache(json.dumps(plain).encode(), "1") == DOCUMENT


def test_the_manifest_names_every_blob_once():
    data = cache_bytes(DOCUMENT)
    manifest = parse_manifest(cache_manifest(data, (BLOB, BLOB)))
    assert manifest.config.media_type == CACHE
    assert manifest.config.size == len(data)
    assert manifest.layers == (BLOB,)


def test_inline():
    config = msgspec.json.encode({"architecture": "amd64", INLINE_MEMBER: inline_value(DOCUMENT)})
    found = inline_bytes(config)
    assert found is not None
    assert parse_cache(found, "1") == DOCUMENT
    assert inline_bytes(b"{}") is None
    with pytest.raises(InputError):
        inline_bytes(b"[")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "another version"),
        ({"key_version": "2"}, "another version"),
        ({"layers": (CachedLayer(diff_id="sha256:1"),)}, "no diff_id"),
        ({"layers": (CachedLayer(diff_id=digest(1), created_s=-1),)}, "none"),
        ({"layers": (CachedLayer(diff_id=digest(1), tar_bytes=1 << 60),)}, "none"),
        ({"layers": (CachedLayer(diff_id=digest(1), compressor="x" * 5000),)}, "endless"),
        ({"layers": (CachedLayer(diff_id=digest(1), blob=Descriptor(media_type="m", digest="x", size=1)),)}, "no blob"),
        ({"layers": (CachedLayer(diff_id=digest(1), blob=msgspec.structs.replace(BLOB, size=-1)),)}, "no blob"),
        (
            {"layers": (CachedLayer(diff_id=digest(1), blob=msgspec.structs.replace(BLOB, urls=("http://x",))),)},
            "no blob",
        ),
        ({"results": (CachedResult(keys=("k",), id=digest(1)),)}, "no digest"),
        ({"results": (CachedResult(keys=(), id="id"),)}, "no digest"),
        ({"results": (CachedResult(keys=(digest(1),) * 65, id=digest(1)),)}, "no digest"),
        ({"results": (CachedResult(keys=(), id=digest(1), layers=(2,)),)}, "not there"),
        ({"results": (CachedResult(keys=(), id=digest(1), layers=(-1,)),)}, "not there"),
        ({"results": (CachedResult(keys=(), id=digest(1), layers=(0,), added=2),)}, "more layers"),
        ({"results": (CachedResult(keys=(), id=digest(1), added=-1),)}, "more layers"),
        ({"results": (CachedResult(keys=(), id=digest(1), layers=(0,) * (MAX_REFERENCES + 1)),)}, "too large"),
        ({"results": (CachedResult(keys=(), id=digest(1), made=MADE),)}, "nowhere"),
        ({"results": (result(op="op"),)}, "nowhere"),
        ({"results": (result(parts=("odd",)),)}, "nowhere"),
        ({"results": (result(place="x" * 5000),)}, "nowhere"),
        ({"results": (result(parts=("x",) * (2 * MAX_PARTS + 2)),)}, "too large"),
        ({"mounts": (CachedMount(name="../x", blob=BLOB),)}, "malformed"),
        ({"mounts": (CachedMount(name=digest(1), blob=BLOB),) * 1001}, "too large"),
    ],
)
def test_what_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        parse_cache(cache_bytes(msgspec.structs.replace(DOCUMENT, **change)), "1")


def test_size_is_bounded():
    with pytest.raises(InputError, match="too many"):
        parse_cache(b" " * (MAX_CACHE_BYTES + 1), "1")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    with pytest.raises(InputError):
        parse_cache(data, "1")


@given(st.data())
def test_a_changed_document_is_read_or_refused(data):
    changed = bytearray(cache_bytes(DOCUMENT))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_cache(bytes(changed), "1")
    except InputError:
        return
    for result in found.results:
        assert all(0 <= number < len(found.layers) for number in result.layers)
