"""The cache document: results of steps by key, and the layers that they are made of, as they travel. Pure.

It is the config of a cache's manifest, or a member of an image's config (an inline cache). Where it comes from anyone
may have made it: bounded, typed, every digest and index checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from jettison.base.digest import digest_of, is_digest
from jettison.base.errors import InputError
from jettison.oci.documents import MANIFEST, Descriptor, Manifest
from jettison.oci.parse import MAX_BLOB_BYTES

CACHE = "application/vnd.jettison.cache.v1+json"
CACHE_MOUNT = "application/vnd.jettison.cache-mount.v1.tar"  # and how it is compressed: +gzip, +zstd
INLINE_MEMBER = "jettison.cache.v1"
MARK = "dev.jettison.cache"  # annotates a cache in a layout's index
FOREIGN_MARK = "buildkit.cacheconfig"  # in the media types of BuildKit's own caches
SCHEMA = 1

MAX_CACHE_BYTES = 16 << 20
MAX_LAYERS = 10_000
MAX_RESULTS = 20_000
MAX_REFERENCES = 2_000_000  # of layers, by all results
MAX_KEYS = 64  # of a result
MAX_MOUNTS = 1_000
MAX_PARTS = 100_000  # of keys, of all results
MOST_TOLD = 1 << 20  # characters of what misses are explained by that a writer puts into one document
_MAX_TEXT = 4_096


class _Document(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """JSON with camelCase names; defaults are left out, unknown members are passed over."""


class CachedLayer(_Document, frozen=True, kw_only=True):
    """A layer. `blob` None: it is a base's, and comes with the base; or, inline, it is one of the image's own.

    `created_s` (s since the epoch, 0: unknown) is when it was made, which images' histories tell. `tar_bytes` is the
    size of its tar; `compressor` names what made the blob.
    """

    diff_id: str
    blob: Descriptor | None = None
    created_s: int = 0
    tar_bytes: int = 0
    compressor: str = ""


class CachedOrigin(_Document, frozen=True, kw_only=True):
    """What a miss is explained by: the digest of the result's op, the place where it stood (platform and step), and its
    content key's parts, names and sealed values by turns, under the salt of the result's first key.
    """

    op: str
    place: str
    parts: tuple[str, ...] = ()


class CachedResult(_Document, frozen=True, kw_only=True):
    """What a step yields under each of `keys`: `id` is the solver's identity of the tree, `layers` the whole stack as
    numbers of the document's layers, bottom first; the last `added` of them are the step's own. `made` is for people.
    """

    keys: tuple[str, ...]
    id: str
    layers: tuple[int, ...] = ()
    added: int = 0
    made: CachedOrigin | None = None


class CachedMount(_Document, frozen=True, kw_only=True):
    """What a cache mount held. `name` is the digest of its id, `label` what people read; `blob` a tar of it."""

    name: str
    label: str = ""
    blob: Descriptor


class CacheDocument(_Document, frozen=True, kw_only=True):
    """`key_version` is that of the keys: with another one they mean something else."""

    schema: int
    key_version: str
    layers: tuple[CachedLayer, ...] = ()
    results: tuple[CachedResult, ...] = ()
    mounts: tuple[CachedMount, ...] = ()


class _Versions(_Document, frozen=True, kw_only=True):
    schema: int
    key_version: str


_Kind = TypeVar("_Kind")
_encoder = msgspec.json.Encoder(order="deterministic")


def cache_bytes(document: CacheDocument) -> bytes:
    """The document as it is stored."""
    return _encoder.encode(document)


def cache_manifest(config: bytes, blobs: Iterable[Descriptor]) -> bytes:
    """The manifest of a cache: its document is the config; every blob is named once, so that registries keep it."""
    unique = {blob.digest: blob for blob in blobs}
    document = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=described(config, CACHE),
        layers=tuple(unique.values()),
    )
    return _encoder.encode(document)


def described(data: bytes, media_type: str) -> Descriptor:
    """The descriptor of a document."""
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))


def inline_value(document: CacheDocument) -> Any:
    """The document as the value of a member of an image's config."""
    return msgspec.to_builtins(document)


def inline_bytes(config: bytes) -> bytes | None:
    """The document that an image's config carries, None for none. Raises InputError for a config that is not JSON."""
    try:
        members = msgspec.json.decode(config, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not an image config: {error}") from error
    found = members.get(INLINE_MEMBER)
    return None if found is None else bytes(found)


def parse_cache(data: bytes, key_version: str) -> CacheDocument:
    """A document from outside, checked. Raises InputError for what is none, is damaged, or has other keys."""
    if len(data) > MAX_CACHE_BYTES:
        raise InputError(f"{len(data)} bytes are too many for a cache document")
    versions = _decoded(data, _Versions)
    if versions.schema != SCHEMA or versions.key_version != key_version:
        raise InputError(
            f"it was made by another version of jettison (schema {versions.schema}, keys {versions.key_version[:20]!r})"
        )
    document = _decoded(data, CacheDocument)
    problem = _problem(document)
    if problem:
        raise InputError(f"its document is damaged: {problem}")
    return document


def _decoded(data: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"its document is damaged: {error}") from error


def _problem(document: CacheDocument) -> str:
    """What is wrong with a document, "" when nothing is."""
    counts = ((document.layers, MAX_LAYERS), (document.results, MAX_RESULTS), (document.mounts, MAX_MOUNTS))
    if any(len(items) > most for items, most in counts):
        return "it is too large"
    if sum(len(result.layers) for result in document.results) > MAX_REFERENCES:
        return "it is too large"
    if sum(len(result.made.parts) for result in document.results if result.made is not None) > 2 * MAX_PARTS:
        return "it is too large"
    problems = (
        *(_layer_problem(layer) for layer in document.layers),
        *(_result_problem(result, len(document.layers)) for result in document.results),
        *(_mount_problem(mount) for mount in document.mounts),
    )
    return next((problem for problem in problems if problem), "")


def _layer_problem(layer: CachedLayer) -> str:
    if not is_digest(layer.diff_id):
        return f"{layer.diff_id[:80]!r} is no diff_id"
    if layer.blob is not None and not _is_blob(layer.blob):
        return f"layer {layer.diff_id} has no blob of a digest and a size"
    if not (0 <= layer.created_s < 1 << 40 and 0 <= layer.tar_bytes <= MAX_BLOB_BYTES):
        return f"layer {layer.diff_id} has a time or size that is none"
    return "" if len(layer.compressor) <= _MAX_TEXT else f"layer {layer.diff_id} has an endless compressor"


def _result_problem(result: CachedResult, layers: int) -> str:
    if not is_digest(result.id) or len(result.keys) > MAX_KEYS or not all(map(is_digest, result.keys)):
        return "a result has a key or an id that is no digest"
    if not all(0 <= number < layers for number in result.layers):
        return f"result {result.id} names a layer that is not there"
    if result.made is not None and not (result.keys and is_origin(result.made)):
        return f"result {result.id} comes from nowhere"
    return "" if 0 <= result.added <= len(result.layers) else f"result {result.id} adds more layers than it has"


def is_origin(made: CachedOrigin) -> bool:
    """Whether a reader takes it: what it would not take must not be written, for it refuses the whole document then."""
    texts = (made.place, *made.parts)
    return len(made.parts) % 2 == 0 and is_digest(made.op) and all(len(text) <= _MAX_TEXT for text in texts)


def _mount_problem(mount: CachedMount) -> str:
    if not is_digest(mount.name) or not _is_blob(mount.blob) or len(mount.label) > _MAX_TEXT:
        return "a cache mount is malformed"
    return ""


def _is_blob(blob: Descriptor) -> bool:
    return is_digest(blob.digest) and 0 <= blob.size <= MAX_BLOB_BYTES and not blob.urls
