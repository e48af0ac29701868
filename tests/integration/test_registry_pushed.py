"""Pushing to the registry that Debian packages, and reading back what was pushed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from fakes.registry import sha
from jettison.base.errors import NetworkError
from jettison.oci.cachedoc import CACHE, CacheDocument, cache_bytes, cache_manifest
from jettison.oci.documents import MANIFEST, Descriptor
from jettison.registry.client import Registry
from jettison.registry.config import Patience
from registries import serving

pytestmark = pytest.mark.peer


class Bytes:
    """An upload from memory, in pieces."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def pieces(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), 100_000):
            yield self.data[at : at + 100_000]


def described(data: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    return Descriptor(media_type=media_type, digest=sha(data), size=len(data))


def client(folder: object) -> Registry:
    environ = {"HOME": str(folder), "DOCKER_CONFIG": str(folder)}
    return Registry(environ=environ, patience=Patience(wait_factor=0.001))


def test_blobs_and_a_manifest_come_back_as_they_were_sent(tmp_path) -> None:
    layer, document = os.urandom(1_000_000), cache_bytes(CacheDocument(schema=1, key_version="1"))
    config = described(document, CACHE)
    with serving(str(tmp_path)) as address:
        registry = client(tmp_path)
        name = f"{address}/team/app:cache"
        assert not registry.has_blob(name, described(layer).digest)
        assert registry.push_blob(name, described(layer), Bytes(layer))
        assert not registry.push_blob(name, described(layer), Bytes(layer))
        registry.push_blob(name, config, Bytes(document))
        manifest = cache_manifest(document, (described(layer),))
        digest = registry.push_manifest(name, manifest, MANIFEST)
        found = registry.document(name)
        assert (found.data, found.digest) == (manifest, digest)
        assert registry.read_blob(name, config, 1 << 20) == document
        sink = io.BytesIO()
        registry.fetch_blob(name, described(layer), sink)
        assert sink.getvalue() == layer
        registry.close()


def test_a_cache_without_blobs(tmp_path) -> None:
    document = cache_bytes(CacheDocument(schema=1, key_version="1"))
    with serving(str(tmp_path)) as address:
        registry = client(tmp_path)
        registry.push_blob(f"{address}/app:c", described(document, CACHE), Bytes(document))
        registry.push_manifest(f"{address}/app:c", cache_manifest(document, ()), MANIFEST)
        assert registry.document(f"{address}/app:c").data == cache_manifest(document, ())
        registry.close()


def test_damaged_bytes_are_refused(tmp_path) -> None:
    with serving(str(tmp_path)) as address:
        registry = client(tmp_path)
        with pytest.raises(NetworkError, match="DIGEST_INVALID"):
            registry.push_blob(f"{address}/app:c", described(b"12345"), Bytes(b"54321"))
        registry.close()


def test_with_a_login_and_without(tmp_path) -> None:
    data = os.urandom(200_000)
    with serving(str(tmp_path), login=True) as address:
        registry = client(tmp_path)
        with pytest.raises(NetworkError, match="writing needs a login"):
            registry.push_blob(f"{address}/app:c", described(data), Bytes(data))
        registry.close()
        (tmp_path / "config.json").write_text(f'{{"auths":{{"{address}":{{"auth":"YWRhOnNlY3JldA=="}}}}}}')
        registry = client(tmp_path)
        assert registry.push_blob(f"{address}/app:c", described(data), Bytes(data))
        registry.close()
