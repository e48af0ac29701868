"""Bases by reference: from the local store, a layout directory or a registry; what a reference meant is remembered.

A build with nothing to do asks no network: `--pull` asks again (docker's habit too: local first, then remembered).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from jettison.app.session import Session
from jettison.base.errors import InputError, JettisonError
from jettison.oci.documents import Descriptor, ImageConfig
from jettison.oci.image import EMPTY_DIFF_ID, platform_of
from jettison.oci.parse import parse_config, parse_manifest
from jettison.oci.platform import format_platform, parse_platform
from jettison.oci.reference import parse_reference
from jettison.planning.needs import NeedImage, ResolvedImage
from jettison.store.layers import BlobFact
from jettison.store.names import NamedImage, ResolvedRef
from jettison.store.store import Store

if TYPE_CHECKING:
    from jettison.registry.source import ResolvedManifest

LAYOUT = "oci-layout://"


class BaseLayer(msgspec.Struct, frozen=True):
    """One layer of a base: `layer` is its id in the store ("" for the empty layer, which has no snapshot).

    `descriptor` is of its blob; None for a layer that was made here and may never have been packed.
    """

    diff_id: str
    layer: str
    descriptor: Descriptor | None = None


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a build stands on: `digest` as in ImageOp; `rows` has one for every diff_id of `config`."""

    digest: str
    config: ImageConfig
    config_digest: str
    rows: tuple[BaseLayer, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The stack: ids of the layers that hold something, bottom first."""
        return tuple(row.layer for row in self.rows if row.layer)


class Images:
    """Resolves references once a command, and knows the layers of what it resolved."""

    def __init__(self, session: Session, *, pull: bool = False) -> None:
        self._session = session
        self._store = session.store
        self._pull = pull
        self._bases: dict[str, Base] = {}
        self._asked: dict[tuple[str, str], Base] = {}

    def resolve(self, need: NeedImage) -> ResolvedImage:
        """The answer to a lowering's question. Raises InputError and NetworkError, placed."""
        try:
            base = self.find(need.ref, need.platform)
        except JettisonError as error:
            if need.stage:
                error.hint = f"if a stage was meant: there is one called {need.stage}\nhint: {error.hint}"
            raise error.at(need.location) from None
        return ResolvedImage(
            digest=base.digest, config=base.config, platform=_other_platform(base.config, need.platform)
        )

    def base(self, digest: str) -> Base:
        """A base that was resolved, by its digest. Raises KeyError."""
        return self._bases[digest]

    def base_layers(self) -> frozenset[str]:
        """The layers of all bases that were resolved so far: they come with their images."""
        return frozenset(layer for base in self._bases.values() for layer in base.layers)

    def find(self, ref: str, platform: str) -> Base:
        """The image that `ref` means on `platform`."""
        base = self._from_layout(ref, platform) if ref.startswith(LAYOUT) else self._from_name(ref, platform)
        self._bases[base.digest] = base
        self._asked[ref, platform] = base
        return base

    def config_of(self, need: NeedImage) -> ImageConfig | None:
        """The config of an image that was resolved, None for one that nothing asked for."""
        base = self._asked.get((need.ref, need.platform))
        return base.config if base is not None else None

    def asked(self) -> list[tuple[str, str, str]]:
        """Every (reference, platform, digest) that was resolved, in order."""
        return sorted((ref, platform, base.digest) for (ref, platform), base in self._asked.items())

    def _from_name(self, ref: str, platform: str) -> Base:
        parsed = parse_reference(ref)
        name, source = str(parsed), f"registry {parsed.name}"
        if not self._pull:
            named = self._held(name, platform)
            config = self._store.blobs.document(named.config_digest) if named is not None else None
            if named is not None and config is not None:
                return self._named(named, parse_config(config))
            remembered = self._remembered(name, platform, source)
            if remembered is not None:
                return remembered
        self._session.foresee_layers()  # while the registry is asked
        try:
            resolved = self._session.registry().resolve(name, parse_platform(platform))
        except JettisonError:
            other = None if self._pull else self._store.names.only(name)
            if other is None:
                raise
            return self.named(other)  # of one platform alone, as a registry's may be: planning says that it is another
        return self._learn(name, platform, resolved, source)

    def named(self, image: NamedImage) -> Base:
        """An image of the local store. Raises InputError for one that is damaged or has just been removed."""
        held = self._held(image.name, image.platform)
        config = self._store.blobs.document(held.config_digest) if held is not None else None
        if held is None or config is None:
            raise InputError(f"image {image.name} of the local store is damaged", hint="build or pull it again")
        return self._named(held, parse_config(config))

    def _held(self, name: str, platform: str) -> NamedImage | None:
        """The image of that name, pinned in the pass of the gate that finds it: no prune comes between the two."""
        with self._store.gate.shared():
            image = self._store.names.get(name, platform)
            if image is not None:
                self._store.lease.pin(image.keeps)
        return image

    def _named(self, image: NamedImage, config: ImageConfig) -> Base:
        kept = iter(image.keeps)  # the stack stands first (`outputs.keeps`)
        layers = ("" if diff_id == EMPTY_DIFF_ID else next(kept) for diff_id in config.rootfs.diff_ids)
        rows = tuple(
            BaseLayer(diff_id, layer, self._blob_of(diff_id, layer))
            for diff_id, layer in zip(config.rootfs.diff_ids, layers, strict=True)
        )
        return Base(digest=_identity(image), config=config, config_digest=image.config_digest, rows=rows)

    def _blob_of(self, diff_id: str, layer: str) -> Descriptor | None:
        """The blob of a layer that an image of the store has from its own base: packed anew it would be another one."""
        fact = known_blob(self._store, diff_id) if diff_id == layer else None
        return Descriptor(media_type=fact.media_type, digest=fact.digest, size=fact.size_bytes) if fact else None

    def _from_layout(self, ref: str, platform: str) -> Base:
        from jettison.registry.layout import open_layout

        source, name = open_layout(ref.removeprefix(LAYOUT))
        resolved = source.resolve(name, parse_platform(platform))
        place = f"layout {source.directory}"
        remembered = self._remembered(ref, platform, place)
        if remembered is not None and remembered.digest == resolved.digest:
            return remembered
        return self._learn(ref, platform, resolved, place)

    def _remembered(self, name: str, platform: str, source: str) -> Base | None:
        known = self._store.refs.get(name, platform)
        if known is None:
            return None
        manifest = self._store.blobs.document(known.manifest_digest)
        config = self._store.blobs.document(known.config_digest)
        if manifest is None or config is None:
            return None
        base = _base(known.manifest_digest, known.config_digest, config, parse_manifest(manifest).layers, name)
        self._place(base, source)
        return base

    def _place(self, base: Base, source: str) -> None:
        """Pin the layers of a base, and know where their blobs are: a prune may have taken what was known of them, and
        left what the base's name means.
        """
        self._pin(base)
        unplaced = self._store.layers.unplaced(row.diff_id for row in base.rows)
        for row in base.rows:
            if row.descriptor is not None and row.diff_id in unplaced:
                self._store.layers.add_blob(blob_fact(row.diff_id, row.descriptor, source))

    def _pin(self, base: Base) -> None:
        with self._store.gate.shared():
            self._store.lease.pin(base.layers)

    def _learn(self, name: str, platform: str, resolved: ResolvedManifest, source: str) -> Base:
        """Keep the documents and where the layers' blobs are; nothing else is fetched."""
        base = _base(resolved.digest, resolved.config_digest, resolved.config, resolved.layers, name)
        self._store.blobs.put_document(resolved.manifest)
        self._store.blobs.put_document(resolved.config)
        self._pin(base)
        for row in base.rows:
            if row.descriptor is not None:
                self._store.layers.add_blob(blob_fact(row.diff_id, row.descriptor, source))
        self._store.refs.put(
            ResolvedRef(
                ref=name, platform=platform, manifest_digest=resolved.digest, config_digest=resolved.config_digest
            )
        )
        return base


def _identity(image: NamedImage) -> str:
    """What a named image is known by in keys: one that was pulled by its manifest, as when a build itself resolves it
    (a pull changes no key, here or in a cache elsewhere); one made here, whose manifest nobody kept, by its config.
    """
    return image.manifest_digest if image.manifest_digest in image.keeps else image.config_digest


def known_blob(store: Store, diff_id: str) -> BlobFact | None:
    """A blob that holds a base's layer: one that is here, or else one that can be fetched."""
    facts = store.layers.blobs_of(diff_id)
    return next((fact for fact in facts if store.blobs.has(fact.digest)), facts[0] if facts else None)


def blob_fact(diff_id: str, descriptor: Descriptor, *sources: str) -> BlobFact:
    """A blob of a layer, as the store remembers it."""
    return BlobFact(
        diff_id=diff_id,
        digest=descriptor.digest,
        media_type=descriptor.media_type,
        size_bytes=descriptor.size,
        sources=sources,
    )


def _base(digest: str, config_digest: str, config: bytes, layers: tuple[Descriptor, ...], name: str) -> Base:
    document = parse_config(config)
    diff_ids = document.rootfs.diff_ids
    if len(diff_ids) != len(layers):
        raise InputError(
            f"image {name} is damaged: its manifest has {len(layers)} layers, its config {len(diff_ids)}",
            hint="push it again, or name another one",
        )
    rows = tuple(
        BaseLayer(diff_id, "" if diff_id == EMPTY_DIFF_ID else diff_id, descriptor)
        for diff_id, descriptor in zip(diff_ids, layers, strict=True)
    )
    return Base(digest=digest, config=document, config_digest=config_digest, rows=rows)


def _other_platform(config: ImageConfig, wanted: str) -> str | None:
    """The image's own platform where it is not the one that was asked for."""
    own = format_platform(platform_of(config))
    return None if own == wanted else own
