"""`-o`: a finished image written where the caller wants it. Each output is whole or not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from jettison.app.images import blob_fact
from jettison.app.materials import Materials, each
from jettison.app.outputs import BuiltImage, BuiltLayer
from jettison.app.request import ARCHIVES, FILES, OutputSpec
from jettison.app.session import Session
from jettison.base.errors import InternalError
from jettison.oci.documents import Descriptor
from jettison.oci.image import EMPTY_DIFF_ID, manifest_bytes, platform_of
from jettison.sandbox import spec

if TYPE_CHECKING:
    from jettison.export.layout import ExportedImage, ExportedLayer

STDOUT = 1


class Exporter:
    """Writes outputs; fetches a base's blobs only here, when an output needs their bytes."""

    def __init__(self, session: Session, materials: Materials, epoch: int | None, *, several: bool = False) -> None:
        """`several`: the images are of platforms, even where there is one, and kept apart."""
        self._session = session
        self._store = session.store
        self._materials = materials
        self._epoch = epoch
        self._several = several

    def export(self, images: tuple[BuiltImage, ...], output: OutputSpec, names: tuple[str, ...]) -> str:
        """Write one output; what was written, for people. `names` are whole references."""
        if output.type in ARCHIVES:
            return self._archive(images, output, names)
        if output.type in FILES:
            return self._files(images, output)
        raise InternalError(f"output type {output.type} writes nothing")

    def _archive(self, images: tuple[BuiltImage, ...], output: OutputSpec, names: tuple[str, ...]) -> str:
        from jettison.export.docker_archive import write_docker_archive
        from jettison.export.layout import write_layout

        exported = [self.exported(image) for image in images]
        dest: str | int = STDOUT if output.dest in ("", "-") else output.dest
        if output.type == "docker":
            write_docker_archive(exported, names, dest, as_tar=output.as_tar)
        else:
            write_layout(exported, names, dest, as_tar=output.as_tar, as_index=self._several)
        return f"wrote {output.dest or 'standard output'} ({output.type})"

    def exported(self, image: BuiltImage) -> ExportedImage:
        """The image with every blob in the store, and its manifest."""
        from jettison.export.layout import ExportedImage

        layers = [self._layer(layer) for layer in image.layers]
        self._fetch(image)
        manifest = manifest_bytes(image.config, [layer.descriptor for layer in layers])
        return ExportedImage(
            config=image.config, manifest=manifest, layers=tuple(layers), platform=platform_of(image.document)
        )

    def _fetch(self, image: BuiltImage) -> None:
        """The blobs of a base that are still elsewhere; what we packed is here."""
        blobs = {layer.descriptor.digest: layer.diff_id for layer in image.layers if layer.descriptor is not None}
        missing = [digest for digest in blobs if not self._store.blobs.has(digest)]
        each(missing, lambda digest: self._materials.blob(blobs[digest], digest))

    def _layer(self, layer: BuiltLayer) -> ExportedLayer:
        from jettison.export.layout import ExportedLayer

        descriptor = layer.descriptor
        if descriptor is None:
            if layer.diff_id != EMPTY_DIFF_ID:
                raise InternalError(f"layer {layer.diff_id} was not packed for its output")
            descriptor = self._empty()
        return ExportedLayer(descriptor, self._store.blobs.path(descriptor.digest))

    def _empty(self) -> Descriptor:
        """The blob of the layer that holds nothing."""
        from jettison.layer.press import press_bytes
        from jettison.oci.documents import LAYER_GZIP

        data = press_bytes(bytes(1024))
        digest = self._store.blobs.put(data)
        descriptor = Descriptor(media_type=LAYER_GZIP, digest=digest, size=len(data))
        self._store.layers.add_blob(blob_fact(EMPTY_DIFF_ID, descriptor))
        return descriptor

    def _files(self, images: tuple[BuiltImage, ...], output: OutputSpec) -> str:
        """Plain files; of several platforms each in a directory of its own."""
        if output.type == "tar":
            self._tar(images, output.dest)
        for image in images if output.type == "local" else ():
            dest = os.path.join(output.dest, directory_of(image.platform)) if self._several else output.dest
            self._ask(spec.ExportRequest(tree=self._tree(image), dest=dest, form="dir", epoch=self._epoch))
        return f"wrote {output.dest or 'standard output'} ({output.type})"

    def _tar(self, images: tuple[BuiltImage, ...], dest: str) -> None:
        named = tuple((directory_of(image.platform), self._tree(image)) for image in images) if self._several else ()
        with self._store.scratch() as aside:
            path = f"{aside}/rootfs.tar" if dest in ("", "-") else dest
            tree = spec.Tree(()) if named else self._tree(images[0])
            self._ask(spec.ExportRequest(tree=tree, dest=path, form="tar", epoch=self._epoch, named=named))
            if dest in ("", "-"):
                _pour(path)
                os.unlink(path)

    def _tree(self, image: BuiltImage) -> spec.Tree:
        return spec.Tree(self._materials.directories(image.stack))

    def _ask(self, request: spec.ExportRequest) -> None:
        request = msgspec.structs.replace(request, dest=os.path.abspath(request.dest))
        self._session.keeper().ask(request, cancel=self._session.cancel)


def directory_of(platform: str) -> str:
    """`linux_arm64`: where the files of one platform among several go (reference §2.3)."""
    return platform.replace("/", "_")


def _pour(path: str) -> None:
    """A file to standard output, in pieces."""
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            view = memoryview(piece)
            while view:
                view = view[os.write(STDOUT, view) :]
