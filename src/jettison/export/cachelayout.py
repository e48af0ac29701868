"""A cache in an OCI image layout (`--cache-to type=local`): beside what else the directory holds, found by its tag."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

import msgspec

from jettison.base.digest import digest_of
from jettison.base.errors import HostError, JettisonError
from jettison.export.layout import LAYOUT, REF_NAME, blob_name, present
from jettison.export.write import Blob, write_directory
from jettison.oci.cachedoc import MARK
from jettison.oci.documents import Descriptor, Manifest
from jettison.oci.image import index_bytes, manifest_descriptor
from jettison.oci.parse import MAX_DOCUMENT_BYTES, parse_image

_INDEX = "index.json"
_PIECE = 1 << 20


def write_cache(dest: str, tag: str, config: bytes, manifest: bytes, blobs: Iterable[tuple[Descriptor, str]]) -> None:
    """Put a cache into the layout at `dest`, which may be new, as `tag`. `blobs` are descriptors with their files.

    A cache of that tag is replaced, and what only it named is removed; images of that tag stay. Blobs that are there
    already are read, and written again if they are damaged. Raises HostError, and InputError for a directory that
    holds something else.
    """
    entry = msgspec.structs.replace(manifest_descriptor(manifest), annotations={MARK: "v1", REF_NAME: tag})
    before = present(dest)
    kept = [old for old in before if not _is_replaced(old, tag)]
    parts: dict[str, bytes | Blob] = {
        "oci-layout": LAYOUT,
        blob_name(digest_of(config)): config,
        blob_name(digest_of(manifest)): manifest,
        _INDEX: index_bytes([*kept, entry]),
    }
    parts |= {blob_name(blob.digest): Blob(path, blob.size) for blob, path in blobs if not is_whole(dest, blob)}
    write_directory(parts, dest, last=(_INDEX,))
    _remove(dest, [old for old in before if _is_replaced(old, tag)], [*kept, entry])


def is_whole(dest: str, blob: Descriptor) -> bool:
    """Whether a layout holds a blob, byte for byte."""
    path = os.path.join(dest, blob_name(blob.digest))
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != blob.size:
                return False
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return False
    return f"sha256:{digest.hexdigest()}" == blob.digest


def _is_replaced(entry: Descriptor, tag: str) -> bool:
    return MARK in entry.annotations and entry.annotations.get(REF_NAME) == tag


def _remove(dest: str, old: Sequence[Descriptor], kept: Sequence[Descriptor]) -> None:
    """Remove the blobs of entries that are gone, unless others name them; none if an entry is not understood."""
    try:
        needed = {name for entry in kept for name in _named(dest, entry)}
        gone = {name for entry in old for name in _named(dest, entry)} - needed
    except (OSError, JettisonError, ValueError):
        return
    for digest in gone:
        try:
            os.unlink(os.path.join(dest, blob_name(digest)))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostError(f"cannot remove an old blob of {dest}: {error.strerror}") from error


def _named(dest: str, entry: Descriptor) -> list[str]:
    """Every blob that an entry of the index needs, the entry's own included."""
    with open(os.path.join(dest, blob_name(entry.digest)), "rb") as file:
        parsed = parse_image(file.read(MAX_DOCUMENT_BYTES + 1), entry.media_type)
    if isinstance(parsed, Manifest):
        return [entry.digest, parsed.config.digest, *(layer.digest for layer in parsed.layers)]
    return [entry.digest, *(name for inner in parsed.manifests for name in _named(dest, inner))]
