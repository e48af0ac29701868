"""What `docker load` reads (`-o type=docker`): a layout with Docker's media types, and manifest.json."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jettison.base.digest import digest_of
from jettison.base.errors import UsageError
from jettison.export.layout import ExportedImage, blob_name, layout_parts, named_entries
from jettison.export.write import write_directory, write_tar
from jettison.oci.documents import Descriptor
from jettison.oci.image import index_bytes, manifest_bytes


class _Loaded(msgspec.Struct, frozen=True, rename="pascal"):
    """An entry of manifest.json."""

    config: str
    repo_tags: tuple[str, ...] | None
    layers: tuple[str, ...]


def write_docker_archive(
    images: Sequence[ExportedImage], names: Sequence[str], dest: str | int, *, as_tar: bool = True
) -> Descriptor:
    """Write `images` (one: the format has no index) as a docker archive; the descriptor of its manifest.

    The manifest is made anew with Docker's media types: the config, and so the image's id, stays what it is. `names`
    are whole references. Raises UsageError for several images, HostError.
    """
    if len(images) != 1:
        raise too_many()
    image = images[0]
    manifest = manifest_bytes(image.config, [layer.descriptor for layer in image.layers], docker=True)
    root, parts = layout_parts([msgspec.structs.replace(image, manifest=manifest)])
    parts["index.json"] = index_bytes(named_entries(root, names))
    parts["manifest.json"] = _loaded(image, names)
    if as_tar:
        write_tar(parts, dest)
    elif isinstance(dest, int):
        raise UsageError("a directory cannot be written into a pipe", hint="name a directory as dest=")
    else:
        write_directory(parts, dest, last=("index.json", "manifest.json"))
    return root


def too_many() -> UsageError:
    """Why an archive for `docker load` has no index."""
    return UsageError(
        "docker exporter does not currently support exporting manifest lists",
        hint="use -o type=oci, or one --platform",
    )


def _loaded(image: ExportedImage, names: Sequence[str]) -> bytes:
    entry = _Loaded(
        config=blob_name(digest_of(image.config)),
        repo_tags=tuple(familiar(name) for name in names) or None,
        layers=tuple(blob_name(layer.descriptor.digest) for layer in image.layers),
    )
    return msgspec.json.encode([entry])


def familiar(name: str) -> str:
    """A whole reference as people write it: without Docker Hub's host and namespace."""
    for prefix in ("docker.io/library/", "docker.io/"):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name
