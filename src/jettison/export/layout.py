"""An OCI image layout, as a directory or as a tar (`-o type=oci`): blobs, index.json with names, oci-layout."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from jettison.base.digest import digest_of, hex_of
from jettison.base.errors import HostError
from jettison.export.write import Blob, Parts, write_directory, write_tar
from jettison.oci.documents import Descriptor, Platform
from jettison.oci.image import index_bytes, manifest_descriptor
from jettison.oci.parse import MAX_DOCUMENT_BYTES, parse_index

IMAGE_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX = "index.json"


class ExportedLayer(msgspec.Struct, frozen=True):
    """A layer's descriptor, and the file that holds its blob."""

    descriptor: Descriptor
    path: str


class ExportedImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image of one platform, with all its bytes at hand. The manifest's layers are `layers`, in order."""

    config: bytes
    manifest: bytes
    layers: tuple[ExportedLayer, ...]
    platform: Platform | None = None


def write_layout(
    images: Sequence[ExportedImage],
    names: Sequence[str],
    dest: str | int,
    *,
    as_tar: bool = True,
    as_index: bool = False,
    annotations: dict[str, str] | None = None,
) -> Descriptor:
    """Write a layout of `images` to a path, or as a tar into an open descriptor; the descriptor of what it names.

    `names` are whole references (`docker.io/library/app:latest`): each gets an entry in index.json. Several images are
    put under one index, and one image too where `as_index` says so. `annotations` go to every entry. A directory that
    holds a layout already is added to: entries of the same name are replaced. Raises HostError, and InputError for an
    index there that cannot be read.
    """
    root, parts = layout_parts(images, annotations, as_index=as_index)
    entries = named_entries(root, names)
    if as_tar:
        write_tar({**parts, _INDEX: index_bytes(entries)}, dest)
        return root
    if isinstance(dest, int):
        raise HostError("a directory cannot be written into a pipe", hint="name a directory as dest=")
    kept = [entry for entry in present(dest) if not _replaced(entry, entries)]
    write_directory({**parts, _INDEX: index_bytes([*kept, *entries])}, dest, last=(_INDEX,))
    return root


def layout_parts(
    images: Sequence[ExportedImage], annotations: dict[str, str] | None = None, *, as_index: bool = False
) -> tuple[Descriptor, dict[str, bytes | Blob]]:
    """The descriptor of the one image, or of the index of several; and everything in the layout but index.json."""
    parts: dict[str, bytes | Blob] = {"oci-layout": LAYOUT}
    described = []
    for image in images:
        parts |= image_parts(image)
        described.append(manifest_descriptor(image.manifest, platform=image.platform))
    root = described[0]
    if as_index or len(described) > 1:
        index = index_bytes(described)
        parts[blob_name(digest_of(index))] = index
        root = manifest_descriptor(index)
    return msgspec.structs.replace(root, annotations=annotations or {}), parts


def image_parts(image: ExportedImage) -> Parts:
    """An image's blobs by their names in a layout."""
    parts: dict[str, bytes | Blob] = {
        blob_name(layer.descriptor.digest): Blob(layer.path, layer.descriptor.size) for layer in image.layers
    }
    parts[blob_name(digest_of(image.config))] = image.config
    parts[blob_name(digest_of(image.manifest))] = image.manifest
    return parts


def blob_name(digest: str) -> str:
    """Where a blob lies in a layout. Raises ValueError for what is no digest."""
    return f"blobs/sha256/{hex_of(digest)}"


def named_entries(root: Descriptor, names: Sequence[str]) -> list[Descriptor]:
    """An entry of index.json for each name; one without a name when there are none (reference §2.3)."""
    if not names:
        return [root]
    return [
        msgspec.structs.replace(root, annotations={**root.annotations, IMAGE_NAME: name, REF_NAME: tag_of(name)})
        for name in names
    ]


def tag_of(name: str) -> str:
    """The tag of a whole reference; latest when it has none."""
    last = name.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2] or "latest"


def present(dest: str) -> tuple[Descriptor, ...]:
    """The entries of the layout at `dest`, none where there is nothing yet. Raises InputError for a damaged index."""
    path = os.path.join(dest, _INDEX)
    try:
        with open(path, "rb") as file:
            return parse_index(file.read(MAX_DOCUMENT_BYTES + 1), path).manifests
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error


def _replaced(entry: Descriptor, entries: Sequence[Descriptor]) -> bool:
    name = entry.annotations.get(IMAGE_NAME)
    return any(
        name == new.annotations.get(IMAGE_NAME) and (name is not None or entry.digest == new.digest) for new in entries
    )
