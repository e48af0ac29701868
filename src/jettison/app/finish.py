"""After the steps: images assembled, names set, outputs written."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from jettison.app.emit import Emitter
from jettison.app.images import Images
from jettison.app.materials import Materials, each
from jettison.app.options import has_inline_cache, is_multiple, platforms
from jettison.app.outputs import Assembler, BuiltImage, Inline
from jettison.app.packing import Packer, Packing, naming_of, outputs_of, packing_of
from jettison.app.request import ARCHIVES, FILES, BuildRequest, OutputSpec
from jettison.app.session import Session
from jettison.base.digest import digest_of, is_digest
from jettison.oci.image import index_bytes, manifest_bytes, manifest_descriptor, platform_of
from jettison.oci.reference import parse_reference
from jettison.planning import ops
from jettison.planning.graph import Plan
from jettison.record.model import ExportFinished, ExportStarted, ImageRecord
from jettison.solve.run import SolveOutcome
from jettison.store.names import NamedImage


class Solved(msgspec.Struct, frozen=True):
    """The plans, one a platform, and the outcome of the one solve of them all."""

    plans: tuple[Plan, ...]
    outcome: SolveOutcome


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a build made: the images as the record has them, and what the index of several is, where there is one."""

    images: tuple[ImageRecord, ...] = ()
    index_digest: str = ""
    index_size_bytes: int = 0


NOTHING = Made()


def check_outputs(request: BuildRequest) -> None:
    """Refuse before anything is built what could not be written after it. Raises UsageError, and InputError."""
    several = is_multiple(request, platforms(request))
    if several and any(output.type == "docker" for output in request.outputs):
        from jettison.export.docker_archive import too_many

        raise too_many()


class Finisher:
    """Turns what was solved into what was asked for."""

    def __init__(
        self,
        request: BuildRequest,
        session: Session,
        materials: Materials,
        images: Images,
        emit: Emitter,
        *,
        epoch: int | None,
    ) -> None:
        self._request = request
        self._session = session
        self._images = images
        self._emit = emit
        self._epoch = epoch
        self._several = is_multiple(request, platforms(request))
        self._materials = materials
        self._packer = Packer(session, materials)
        self._assembler = Assembler(session, self._packer, self._epoch)

    def gather(self, solved: Solved) -> None:
        """Have here what the outputs need of layers that another machine made, or this one before it went down, while
        they can still be made again.
        """
        bases = self._images.base_layers()
        for stack in (solved.outcome.results[plan.result].layers for plan in solved.plans):
            self._materials.prove(stack)
            carried = tuple(layer for layer in stack if is_digest(layer) and layer not in bases)
            for output in outputs_of(self._request) if carried else ():
                self._gather(stack, carried, output)

    def _gather(self, stack: tuple[str, ...], carried: tuple[str, ...], output: OutputSpec) -> None:
        if output.type == "cacheonly":
            return
        packing = packing_of(output, self._epoch) if output.type in ARCHIVES else naming_of(output, self._epoch)
        known = {} if output.type in FILES else self._packer.known(carried, packing)
        if len(known) < len(set(carried)):
            self._materials.directories(stack)
            return
        absent = [
            fact.layer for fact in known.values() if fact.digest and not self._session.store.blobs.has(fact.digest)
        ]
        each(absent, lambda layer: self._materials.blob(layer, known[layer].digest))

    def finish(self, solved: Solved) -> Made:
        """Every output, in order; what was made. Names are set last: what is named is whole."""
        outputs = outputs_of(self._request)
        tags = tuple(str(parse_reference(tag)) for tag in self._request.tags)
        made: dict[Packing, tuple[BuiltImage, ...]] = {}
        for output in outputs:
            if output.type in ARCHIVES:
                self._write(self._built(solved, packing_of(output, self._epoch), made), output, tags)
            elif output.type in FILES:
                self._write(self._built(solved, Packing(), made) if made else self._unpacked(solved), output, tags)
        if all(output.type in (*FILES, "cacheonly") for output in outputs) and not tags:
            return self._made(next(iter(made.values()), ()), ())
        kept = next((output for output in outputs if output.type == "image"), None)
        images = self._built(solved, self._naming(kept, made), made)
        names = tuple(dict.fromkeys((*tags, *(str(parse_reference(n)) for n in (kept.names if kept else ())))))
        if not self._request.cache_to:  # a cache elsewhere may yet want layers packed
            self._session.rest()
        self._name(images, names)
        return self._made(images, names)

    def _naming(self, kept: OutputSpec | None, made: Iterable[Packing]) -> Packing:
        """The image that is named: the one that was exported if there was one, else hashed alone."""
        if kept is not None and kept.rewrite_timestamp:
            return naming_of(kept, self._epoch)
        return next(iter(made), naming_of(kept, self._epoch))

    def _built(
        self, solved: Solved, packing: Packing, made: dict[Packing, tuple[BuiltImage, ...]]
    ) -> tuple[BuiltImage, ...]:
        if packing not in made:
            made[packing] = tuple(self._image(plan, solved.outcome, packing) for plan in solved.plans)
        return made[packing]

    def _image(self, plan: Plan, outcome: SolveOutcome, packing: Packing) -> BuiltImage:
        bottom = plan.step(plan.lineage[0]).op
        base = self._images.base(bottom.digest) if isinstance(bottom, ops.ImageOp) else None
        return self._assembler.image(plan, outcome.results, base, packing, self._inline(plan, outcome))

    def _inline(self, plan: Plan, outcome: SolveOutcome) -> Inline | None:
        """What makes the cache that the image carries, where one was asked for."""
        if not has_inline_cache(self._request):
            return None
        from jettison.app.cachemake import CacheMaker
        from jettison.oci.cachedoc import INLINE_MEMBER

        maker = CacheMaker(self._session, self._materials, self._images, self._emit)
        return lambda layers: {INLINE_MEMBER: maker.inline(plan, outcome, layers)}

    def _unpacked(self, solved: Solved) -> tuple[BuiltImage, ...]:
        """Images for outputs of plain files: the stack is enough, nothing is packed or hashed."""
        return tuple(self._assembler.stack_alone(plan, solved.outcome.results) for plan in solved.plans)

    def _write(self, images: tuple[BuiltImage, ...], output: OutputSpec, tags: tuple[str, ...]) -> None:
        from jettison.app.exports import Exporter

        names = tuple(str(parse_reference(name)) for name in output.names) or tags
        exporter = Exporter(self._session, self._materials, self._epoch, several=self._several)
        began = time.monotonic()
        self._emit(ExportStarted(what=output.type))
        what = exporter.export(images, output, names)
        self._emit(ExportFinished(what=what, duration_ms=round((time.monotonic() - began) * 1000, 3)))

    def _name(self, images: tuple[BuiltImage, ...], names: tuple[str, ...]) -> None:
        """Put the images into the local store, under their names and under their own ids."""
        store = self._session.store
        entries: list[NamedImage] = []
        for image in images:
            store.blobs.put_document(image.config)
            entries.extend(_named(image, name) for name in names or (image.config_digest,))
        if entries:
            store.names.put(*entries)

    def _made(self, images: tuple[BuiltImage, ...], names: tuple[str, ...]) -> Made:
        index = _index(images) if self._several else b""
        return Made(
            images=tuple(_recorded(image, names) for image in images),
            index_digest=_digest(index),
            index_size_bytes=len(index),
        )


def _recorded(image: BuiltImage, names: tuple[str, ...]) -> ImageRecord:
    manifest = _manifest(image)
    return ImageRecord(
        platform=image.platform,
        config_digest=image.config_digest,
        manifest_digest=_digest(manifest),
        manifest_size_bytes=len(manifest),
        layers=image.records(),
        names=names,
    )


def _named(image: BuiltImage, name: str) -> NamedImage:
    return NamedImage(
        name=name,
        platform=image.platform,
        config_digest=image.config_digest,
        manifest_digest=_digest(_manifest(image)),
        keeps=(*image.stack, image.config_digest, *_blobs(image)),
    )


def _manifest(image: BuiltImage) -> bytes:
    """The manifest, b"" while not every layer has a blob."""
    descriptors = [layer.descriptor for layer in image.layers if layer.descriptor is not None]
    if len(descriptors) < len(image.layers) or not image.config:
        return b""
    return manifest_bytes(image.config, descriptors)


def _index(images: tuple[BuiltImage, ...]) -> bytes:
    """The index that an export writes; b"" while an image has no manifest."""
    manifests = [(_manifest(image), image) for image in images]
    if not images or not all(manifest for manifest, _ in manifests):
        return b""
    return index_bytes(
        [manifest_descriptor(manifest, platform=platform_of(image.document)) for manifest, image in manifests]
    )


def _digest(document: bytes) -> str:
    """Its digest; nothing for a document that there is not."""
    return digest_of(document) if document else ""


def _blobs(image: BuiltImage) -> tuple[str, ...]:
    return tuple(layer.descriptor.digest for layer in image.layers if layer.descriptor is not None)
