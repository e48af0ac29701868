"""Image documents as received from registries, archives and layouts: decoded strictly, bounded in size. Pure.

Go writes an empty list, map or pointer as null, and Docker's configs are full of them: a null member is a missing one.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from jettison.base.digest import is_digest
from jettison.base.errors import InputError
from jettison.oci.documents import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    RuntimeConfig,
)

MAX_DOCUMENT_BYTES = 4 << 20  # the limit of registries for a manifest
MAX_CONFIG_BYTES = 8 << 20
MAX_LAYERS = 10_000
MAX_BLOB_BYTES = 1 << 50  # a claim beyond a pebibyte is no size

_Document = TypeVar("_Document")


def parse_index(data: bytes, what: str = "index") -> Index:
    """An OCI index or Docker manifest list. `what` names it in errors. Raises InputError."""
    index = _convert(_members(data, MAX_DOCUMENT_BYTES, what), Index, what)
    for descriptor in index.manifests:
        _check(descriptor, what)
    return index


def parse_manifest(data: bytes, what: str = "manifest") -> Manifest:
    """An OCI or Docker (schema 2) manifest of an image. Raises InputError, for schema 1 too."""
    members = _members(data, MAX_DOCUMENT_BYTES, what)
    if members.get("schemaVersion") == 1:
        raise InputError(f"{what}: a manifest of schema 1, which no registry should serve any more")
    manifest = _convert(members, Manifest, what)
    if len(manifest.layers) > MAX_LAYERS:
        raise InputError(f"{what}: {len(manifest.layers)} layers are too many")
    for descriptor in (manifest.config, *manifest.layers):
        _check(descriptor, what)
    return manifest


def parse_image(data: bytes, media_type: str = "", what: str = "manifest") -> Index | Manifest:
    """An index or a manifest, whichever `media_type` says it is, else its own `mediaType`, else its members."""
    members = _members(data, MAX_DOCUMENT_BYTES, what)
    stated = members.get("mediaType") or media_type
    if media_type and stated and (media_type in (INDEX, DOCKER_LIST)) != (stated in (INDEX, DOCKER_LIST)):
        raise InputError(f"{what}: it is served as {media_type} and says that it is {stated}")
    if "manifests" in members and ("config" in members or "layers" in members):
        raise InputError(f"{what}: it is both an index and a manifest")
    if stated in (INDEX, DOCKER_LIST) or (stated not in (MANIFEST, DOCKER_MANIFEST) and "manifests" in members):
        return parse_index(data, what)
    return parse_manifest(data, what)


def parse_config(data: bytes, what: str = "config") -> ImageConfig:
    """An image config. Raises InputError for anything else, and for diff_ids that are none."""
    config = _convert(_members(data, MAX_CONFIG_BYTES, what), ImageConfig, what)
    for diff_id in config.rootfs.diff_ids:
        if not is_digest(diff_id):
            raise InputError(f"{what}: not a diff_id: {diff_id!r}")
    return config


def unknown_members(data: bytes, what: str = "config") -> dict[str, Any]:
    """The members of a config's `config` object that `RuntimeConfig` lacks: what a new image inherits unread.

    Docker's `Image` is left out: it names the image's parent, which the new image's is not.
    """
    inner = _members(data, MAX_CONFIG_BYTES, what).get("config")
    known = {field.encode_name for field in msgspec.structs.fields(RuntimeConfig)} | {"Image"}
    if not isinstance(inner, dict):
        return {}
    return {name: value for name, value in inner.items() if name not in known and value is not None}


def _members(data: bytes, limit: int, what: str) -> dict[str, Any]:
    if len(data) > limit:
        raise InputError(f"{what}: {len(data)} bytes are too many, {limit} are allowed")
    try:
        decoded = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{what}: not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise InputError(f"{what}: not a JSON object")
    return decoded


def _convert(members: dict[str, Any], kind: type[_Document], what: str) -> _Document:
    try:
        return msgspec.convert(_without_nulls(members), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{what}: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _check(descriptor: Descriptor, what: str) -> None:
    if not is_digest(descriptor.digest):
        raise InputError(f"{what}: not a sha256 digest: {descriptor.digest!r}")
    if not 0 <= descriptor.size <= MAX_BLOB_BYTES:
        raise InputError(f"{what}: {descriptor.size} is no size of a blob")
