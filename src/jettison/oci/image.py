"""Image documents made and read: config, manifest and index, for OCI and for Docker. Pure: bytes in, bytes out.

The bytes are the image's identity, so they are written in one way only: top-level members in order of name, inner ones
as the specification lists them, maps sorted, no blanks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from jettison.base.digest import digest_of
from jettison.base.readable import readable_json
from jettison.oci.documents import (
    CONFIG,
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    INDEX,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    HistoryEntry,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    RootFS,
)

EMPTY_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"  # of two zero blocks
EXPORTER_COMMENT = "buildkit.exporter.image.v0"  # of the entries that reconciliation adds (reference §1.11)

DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
LAYER_TYPES = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD, "uncompressed": LAYER_TAR}
_DOCKER_TYPES = {LAYER_GZIP: DOCKER_LAYER_GZIP, LAYER_TAR: DOCKER_LAYER_TAR, LAYER_ZSTD: DOCKER_LAYER_ZSTD}
_OCI_TYPES = {docker: oci for oci, docker in _DOCKER_TYPES.items()}

_encoder = msgspec.json.Encoder(order="deterministic")


class LayerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of an image: `diff_id` of its tar, `descriptor` of its blob (None while nobody needs the blob)."""

    diff_id: str
    descriptor: Descriptor | None = None


class Assembled(msgspec.Struct, frozen=True, kw_only=True):
    """A finished config: its bytes, and their digest, which is the image's id."""

    config: bytes
    digest: str
    document: ImageConfig


def assemble(
    config: ImageConfig,
    history: Sequence[tuple[HistoryEntry, LayerFacts | None]],
    *,
    created: str | None,
    added: Sequence[LayerFacts] | None = None,
    kept: dict[str, Any] | None = None,
    members: dict[str, Any] | None = None,
) -> Assembled:
    """The final config. `config` holds the base's history and rootfs; `history` is what this build appends.

    An entry with None made no layer and is marked so. `added` lists the new layers where they are not one an entry
    (None: those of `history`, in order). `created` is RFC 3339; entries without a time get one as BuildKit gives it.
    `kept` are further members of the `config` object (see `parse.unknown_members`), `members` of the whole document.
    History and layers are reconciled as reference §1.11 has it.
    """
    new = added if added is not None else [facts for _, facts in history if facts is not None]
    diff_ids = (*config.rootfs.diff_ids, *(facts.diff_id for facts in new))
    entries = [*config.history, *(_settled(entry, facts, created) for entry, facts in history)]
    document = msgspec.structs.replace(
        config,
        created=created if created is not None else config.created,
        rootfs=RootFS(diff_ids=diff_ids),
        history=tuple(_timed(reconcile(entries, len(diff_ids), created))),
    )
    data = config_bytes(document, kept, members)
    return Assembled(config=data, digest=digest_of(data), document=document)


def _settled(entry: HistoryEntry, facts: LayerFacts | None, created: str | None) -> HistoryEntry:
    if facts is not None and entry.created is None:
        entry = msgspec.structs.replace(entry, created=created)
    return _marked(entry, empty=facts is None)


def _marked(entry: HistoryEntry, *, empty: bool) -> HistoryEntry:
    return entry if entry.empty_layer == empty else msgspec.structs.replace(entry, empty_layer=empty)


def reconcile(history: Iterable[HistoryEntry], layers: int, created: str | None) -> list[HistoryEntry]:
    """`history` with exactly `layers` entries that are not empty: surplus ones are marked empty, missing ones appended
    with the exporter's comment.
    """
    made: list[HistoryEntry] = []
    filled = 0
    for entry in history:
        if entry.empty_layer or filled < layers:
            made.append(entry)
            filled += not entry.empty_layer
        else:
            made.append(_marked(entry, empty=True))
    missing = HistoryEntry(created=created, comment=EXPORTER_COMMENT)
    return made + [missing] * (layers - filled)


def _timed(history: list[HistoryEntry]) -> list[HistoryEntry]:
    """Entries without a time get one as BuildKit gives it: the first of them that of the next entry that has one (so
    that metadata does not look as old as the base), later ones that of the entry before.
    """
    gap = next((at for at, entry in enumerate(history) if not entry.created), len(history))
    times = [entry.created for entry in (*history[gap:], *reversed(history[:gap])) if entry.created]
    last = times[0] if times else None
    made: list[HistoryEntry] = []
    for at, entry in enumerate(history):
        if entry.created and at > gap:
            last = entry.created
        made.append(entry if entry.created or last is None else msgspec.structs.replace(entry, created=last))
    return made


def config_bytes(config: ImageConfig, kept: dict[str, Any] | None = None, more: dict[str, Any] | None = None) -> bytes:
    """The bytes of an image config. An empty CMD or ENTRYPOINT is as good as none, and is left out. `kept`: members of
    `config` that we do not know; they come after those that we do. `more`: members of the document that no
    specification has. Text of the Dockerfile that is not UTF-8 has U+FFFD in it, as BuildKit writes it.
    """
    inner = config.config
    runtime: Any = msgspec.structs.replace(inner, cmd=inner.cmd or None, entrypoint=inner.entrypoint or None)
    if kept:
        known = msgspec.to_builtins(runtime)
        runtime = known | {name: kept[name] for name in sorted(kept) if name not in known}
    members: dict[str, Any] = {
        "architecture": config.architecture,
        "author": config.author or None,
        "config": runtime,
        "created": config.created,
        "history": config.history or None,
        "os": config.os,
        "os.features": config.os_features or None,
        "os.version": config.os_version or None,
        "rootfs": config.rootfs,
        "variant": config.variant or None,
        **(more or {}),
    }
    return readable_json({name: value for name, value in members.items() if value is not None}, _encoder.encode)


def platform_of(config: ImageConfig) -> Platform:
    """The platform that a config is for."""
    return Platform(
        architecture=config.architecture,
        os=config.os,
        variant=config.variant,
        os_version=config.os_version,
        os_features=config.os_features,
    )


def manifest_bytes(
    config: bytes,
    layers: Iterable[Descriptor],
    *,
    docker: bool = False,
    annotations: dict[str, str] | None = None,
) -> bytes:
    """The manifest of an image: OCI media types throughout, or Docker's throughout. Docker's has no annotations."""
    kind, config_kind = (DOCKER_MANIFEST, DOCKER_CONFIG) if docker else (MANIFEST, CONFIG)
    document = Manifest(
        schema_version=2,
        media_type=kind,
        config=Descriptor(media_type=config_kind, digest=digest_of(config), size=len(config)),
        layers=tuple(with_types_of(layer, docker=docker) for layer in layers),
        annotations={} if docker else annotations or {},
    )
    return _encoder.encode(document)


def with_types_of(layer: Descriptor, *, docker: bool) -> Descriptor:
    """A layer's descriptor with the media type that Docker, or OCI, has for the same bytes; others stay as they are."""
    media_type = (_DOCKER_TYPES if docker else _OCI_TYPES).get(layer.media_type, layer.media_type)
    return layer if media_type == layer.media_type else msgspec.structs.replace(layer, media_type=media_type)


def manifest_descriptor(
    manifest: bytes, *, platform: Platform | None = None, annotations: dict[str, str] | None = None
) -> Descriptor:
    """The descriptor of a manifest or index: its media type is the one it states."""
    stated = msgspec.json.decode(manifest, type=_Typed).mediaType
    return Descriptor(
        media_type=stated,
        digest=digest_of(manifest),
        size=len(manifest),
        platform=platform,
        annotations=annotations or {},
    )


class _Typed(msgspec.Struct):
    mediaType: str = MANIFEST  # noqa: N815 - JSON's name


def index_bytes(manifests: Iterable[Descriptor], *, annotations: dict[str, str] | None = None) -> bytes:
    """An OCI index."""
    document = Index(schema_version=2, media_type=INDEX, manifests=tuple(manifests), annotations=annotations or {})
    return _encoder.encode(document)
