"""A cache elsewhere as documents: found by its name in a registry or a layout, or in the config of an image there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from jettison.app.images import blob_fact
from jettison.app.request import CacheSource
from jettison.app.session import Session
from jettison.base.errors import InputError
from jettison.oci.cachedoc import (
    CACHE,
    FOREIGN_MARK,
    MARK,
    MAX_CACHE_BYTES,
    CachedLayer,
    CacheDocument,
    inline_bytes,
    parse_cache,
)
from jettison.oci.documents import Descriptor, Index, Manifest
from jettison.oci.parse import MAX_DOCUMENT_BYTES, parse_config, parse_image, parse_index
from jettison.oci.platform import parse_platform
from jettison.oci.reference import DEFAULT_TAG, parse_reference
from jettison.solve.key import KEY_VERSION
from jettison.store.layers import BlobFact

if TYPE_CHECKING:
    from jettison.registry.layout import Layout
    from jettison.registry.source import ResolvedManifest

TAG = "org.opencontainers.image.ref.name"


class Carried(msgspec.Struct, frozen=True):
    """A blob that can be fetched, and where from (as `store.layers.BlobFact.sources` has it)."""

    blob: Descriptor
    source: str

    def fact(self) -> BlobFact:
        """The blob, which is no layer, as `Materials.fetch` takes it."""
        return blob_fact("", self.blob, self.source)


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was read and checked. `own` are the blobs of an image that carries it, by diff_id, and `times`
    when its layers were made (s since the epoch).
    """

    document: CacheDocument
    source: str
    own: dict[str, Descriptor] = {}
    times: dict[str, int] = {}

    def blob(self, layer: CachedLayer) -> Descriptor | None:
        """Where the layer's bytes are: None for a base's."""
        return layer.blob or self.own.get(layer.diff_id)

    def created_s(self, layer: CachedLayer) -> int:
        """When the layer was made, 0 for unknown."""
        return layer.created_s or self.times.get(layer.diff_id, 0)


def read_cache(source: CacheSource, session: Session, platforms: tuple[str, ...]) -> Iterator[Fetched]:
    """The documents of a cache: one, or of an image one a platform. Raises InputError and NetworkError."""
    if source.type == "local":
        yield from _of_layout(source, platforms)
    else:
        yield from _of_registry(source.ref, session, platforms)


def _of_registry(ref: str, session: Session, platforms: tuple[str, ...]) -> Iterator[Fetched]:
    registry = session.registry()
    found = registry.document(ref, session.cancel)
    parsed = parse_image(found.data, found.media_type, ref)
    source = f"registry {parse_reference(ref).name}"
    if isinstance(parsed, Manifest) and parsed.config.media_type == CACHE:
        data = registry.read_blob(ref, parsed.config, MAX_CACHE_BYTES, session.cancel)
        yield Fetched(document=parse_cache(data, KEY_VERSION), source=source)
        return
    _refuse_foreign(parsed)
    for platform in platforms:
        yield _inline(registry.resolve(ref, parse_platform(platform), session.cancel), source)


def _of_layout(source: CacheSource, platforms: tuple[str, ...]) -> Iterator[Fetched]:
    from jettison.registry.layout import Layout

    layout = Layout(source.src)
    place = f"layout {os.path.abspath(source.src)}"
    entry = _entry(layout, source)
    if entry is not None:
        parsed = parse_image(layout.document(entry.digest, MAX_DOCUMENT_BYTES, entry.size), entry.media_type)
        if isinstance(parsed, Manifest) and parsed.config.media_type == CACHE:
            data = layout.document(parsed.config.digest, MAX_CACHE_BYTES, parsed.config.size)
            yield Fetched(document=parse_cache(data, KEY_VERSION), source=place)
            return
        _refuse_foreign(parsed)
    name = "" if source.tag == DEFAULT_TAG else source.tag  # without: the only image will do
    name += f"@{source.digest}" if source.digest else ""
    for platform in platforms:
        yield _inline(layout.resolve(name, parse_platform(platform)), place)


def _entry(layout: Layout, source: CacheSource) -> Descriptor | None:
    """The entry that is meant: of the digest, else a cache of the tag, else whatever has the tag."""
    if not layout.is_oci:
        return None
    entries = parse_index(layout.read("index.json", MAX_DOCUMENT_BYTES), source.src).manifests
    if source.digest:
        return next((entry for entry in entries if entry.digest == source.digest), None)
    tagged = [entry for entry in entries if entry.annotations.get(TAG) == source.tag]
    return next((entry for entry in tagged if MARK in entry.annotations), tagged[0] if tagged else None)


def _refuse_foreign(parsed: Manifest | Index) -> None:
    inside = parsed.manifests if isinstance(parsed, Index) else (parsed.config,)
    if any(FOREIGN_MARK in descriptor.media_type for descriptor in inside):
        raise InputError("it is a cache of BuildKit's, which names steps in another way")


def _inline(image: ResolvedManifest, source: str) -> Fetched:
    data = inline_bytes(image.config)
    if data is None:
        raise InputError("the image carries no cache: build it with --cache-to type=inline")
    config = parse_config(image.config)
    diff_ids = config.rootfs.diff_ids
    made = [entry.created for entry in config.history if not entry.empty_layer]
    return Fetched(
        document=parse_cache(data, KEY_VERSION),
        source=source,
        own=dict(zip(diff_ids, image.layers, strict=True)),
        times={diff_id: _seconds(created) for diff_id, created in zip(diff_ids, made, strict=False)},
    )


def _seconds(text: str | None) -> int:
    """An image's time in seconds since the epoch, 0 for none."""
    from datetime import datetime

    try:
        return int(datetime.fromisoformat(text or "").timestamp())
    except (ValueError, OverflowError):
        return 0
