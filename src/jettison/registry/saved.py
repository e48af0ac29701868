"""What `docker save` packs, unpacked: `manifest.json` names a config and its layers by path.

Such images have no manifest, and their layers are plain tars: one is put together from the config's diff_ids. What
newer versions of Docker save has an index.json too, and is read as an OCI layout.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from jettison.base.digest import digest_of
from jettison.base.errors import InputError
from jettison.oci.documents import LAYER_TAR, MANIFEST, Descriptor
from jettison.oci.image import manifest_bytes
from jettison.oci.parse import MAX_CONFIG_BYTES, MAX_DOCUMENT_BYTES, parse_config, parse_manifest
from jettison.registry.image import Document, assembled
from jettison.registry.source import ResolvedManifest


class Files(Protocol):
    """The files below `directory`, and none outside it. Each method raises InputError for a path that is no file."""

    @property
    def directory(self) -> str:
        """The directory's name, for messages."""

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file of at most `limit`."""

    def size(self, name: str) -> int:
        """How many bytes a file has."""


class _Saved(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: tuple[str, ...] = ()
    repo_tags: tuple[str, ...] | None = None


def saved_image(files: Files, tag: str) -> ResolvedManifest:
    """The image with that tag, or the only one. Raises InputError."""
    saved = _chosen(files, _saved(files), tag)
    config = files.read(saved.config, MAX_CONFIG_BYTES)
    diff_ids = parse_config(config, f"{files.directory}: {saved.config}").rootfs.diff_ids
    if len(diff_ids) != len(saved.layers):
        raise InputError(f"{files.directory}: {len(saved.layers)} layers, but {len(diff_ids)} diff_ids in its config")
    layers = [
        Descriptor(media_type=LAYER_TAR, digest=diff_id, size=files.size(path))
        for diff_id, path in zip(diff_ids, saved.layers, strict=True)
    ]
    data = manifest_bytes(config, layers)
    document = Document(digest=digest_of(data), media_type=MANIFEST, data=data, endpoint=files.directory)
    return assembled(files.directory, document, parse_manifest(data, files.directory), config, None)


def saved_blob(files: Files, digest: str) -> str:
    """The path of the layer with that diff_id. Raises InputError when no image has it."""
    for saved in _saved(files):
        config = parse_config(files.read(saved.config, MAX_CONFIG_BYTES), f"{files.directory}: {saved.config}")
        if digest in config.rootfs.diff_ids[: len(saved.layers)]:
            return saved.layers[config.rootfs.diff_ids.index(digest)]
    raise InputError(f"{files.directory}: no image has the layer {digest}")


def _saved(files: Files) -> list[_Saved]:
    data = files.read("manifest.json", MAX_DOCUMENT_BYTES)
    try:
        return msgspec.json.decode(data, type=list[_Saved])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{files.directory}: manifest.json: {error}") from None


def _chosen(files: Files, images: list[_Saved], tag: str) -> _Saved:
    fitting = [one for one in images if not tag or any(name.endswith(f":{tag}") for name in one.repo_tags or ())]
    if len(fitting) != 1:
        names = ", ".join(name for one in images for name in one.repo_tags or ()) or "none"
        what = f"{len(fitting)} images are tagged {tag}" if tag else f"it holds {len(images)} images"
        raise InputError(f"{files.directory}: {what}", hint=f"add :TAG to name one; names that it has: {names}")
    return fitting[0]
