"""Layers as blobs: packed in the keeper once, in the way that an output wants them, and remembered.

Layers are only hashed (their diff_ids are in the config) until an output needs their bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from jettison.app.materials import Materials, each
from jettison.app.request import ARCHIVES, FILES, BuildRequest, OutputSpec
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.base.errors import InternalError
from jettison.planning.graph import Plan
from jettison.store.layers import PackedFact
from jettison.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jettison.sandbox.spec import Packed, Pressing

HASH_ONLY = ""
PACKERS = 4  # processes at once; each compresses large layers with threads of its own


class Packing(msgspec.Struct, frozen=True):
    """How layers become blobs: `compression` "" only hashes; `clamp_epoch` (s) limits every mtime."""

    compression: str = HASH_ONLY
    clamp_epoch: int | None = None


def outputs_of(request: BuildRequest) -> tuple[OutputSpec, ...]:
    """The outputs that were asked for; the image in the store where none was."""
    return request.outputs or (OutputSpec(type="image"),)


def packing_of(output: OutputSpec, epoch: int | None) -> Packing:
    """How an archive's layers are packed."""
    return Packing(output.compression, epoch if output.rewrite_timestamp else None)


def naming_of(kept: OutputSpec | None, epoch: int | None) -> Packing:
    """How the layers of the image that is named are, where no archive was made of it: hashed alone."""
    return Packing(HASH_ONLY, epoch if kept is not None and kept.rewrite_timestamp else None)


def foreseen(request: BuildRequest, plans: Iterable[Plan], epoch: int | None) -> dict[str, Packing]:
    """How the layers of steps will have to be packed once they are made, by step id: so it may be done on the way.

    Where they are wanted in several ways this is one of them.
    """
    found: dict[str, Packing] = {}
    image = _of_image(request, epoch)
    caches = [target for target in request.cache_to if target.type != "inline"]
    for plan in plans:
        for target in caches:
            names = plan.lineage if target.mode == "min" else (step.id for step in plan.steps)
            found.update(dict.fromkeys(names, Packing(target.compression)))
        if image is not None and not (caches and image == Packing()):
            found.update(dict.fromkeys(plan.lineage, image))
    return found


def _of_image(request: BuildRequest, epoch: int | None) -> Packing | None:
    """How the image's own layers are wanted first; None where nothing is asked for but plain files."""
    outputs = outputs_of(request)
    archive = next((output for output in outputs if output.type in ARCHIVES), None)
    if archive is not None:
        return packing_of(archive, epoch)
    if all(output.type in (*FILES, "cacheonly") for output in outputs) and not request.tags:
        return None
    return naming_of(next((output for output in outputs if output.type == "image"), None), epoch)


class Packer:
    """Packs layers in the keeper; what was packed once in just that way is remembered."""

    def __init__(self, session: Session, materials: Materials) -> None:
        self._session = session
        self._store = session.store
        self._materials = materials

    def pack(self, layers: tuple[str, ...], packing: Packing, base: tuple[str, ...] = ()) -> dict[str, PackedFact]:
        """Every layer, packed; several at once. `base`: the stack of those that come from a base, bottom first."""
        known = self.known(layers, packing)
        missing = [layer for layer in dict.fromkeys(layers) if layer not in known]
        if not set(base).isdisjoint(missing):
            self._materials.directories(base)  # each on those below it, which have what it takes for granted
        made = each(shared_out(missing), lambda some: self._pack(some, packing))
        return known | {fact.layer: fact for facts in made.values() for fact in facts}

    def known(self, layers: tuple[str, ...], packing: Packing) -> dict[str, PackedFact]:
        """The layers that were packed in just that way, and what came of it is here or can be fetched. The sums of one
        are known however it was packed.
        """
        found = (self._known(layer, packing) for layer in dict.fromkeys(layers))
        return {fact.layer: fact for fact in found if fact is not None and self._is_whole(fact)}

    def _known(self, layer: str, packing: Packing) -> PackedFact | None:
        if packing.compression == HASH_ONLY:
            return self._store.layers.hashed(layer, packing.clamp_epoch)
        from jettison.layer.name import compressor_name

        compressor = compressor_name(packing.compression)
        return self._store.layers.packed(layer, packing.compression, packing.clamp_epoch, compressor)

    def _is_whole(self, fact: PackedFact) -> bool:
        if not fact.digest or self._store.blobs.has(fact.digest):
            return True
        blobs = self._store.layers.blobs_of(fact.layer) if is_digest(fact.layer) else ()
        return any(blob.digest == fact.digest and blob.sources for blob in blobs)

    def _pack(self, layers: tuple[str, ...], packing: Packing) -> tuple[PackedFact, ...]:
        """Some layers, one after the other."""
        from jettison.sandbox.spec import PackedAll, PackRequest

        snapshots = tuple(self._materials.directories((layer,))[0] for layer in layers)
        with self._store.scratch() as aside:
            request = PackRequest(snapshots=snapshots, pressing=pressing(packing, aside))
            reply = self._session.keeper().ask(request, cancel=self._session.cancel)
            if not isinstance(reply, PackedAll):
                raise InternalError(f"the keeper answered {type(reply).__name__}")
            adopt(self._store, aside, reply.packed)
        return tuple(learn(self._store, layer, made, packing) for layer, made in zip(layers, reply.packed, strict=True))


def shared_out(layers: list[str]) -> list[tuple[str, ...]]:
    """Layers in a few groups: each is packed by a process, and most layers are too small to be worth one."""
    return [tuple(layers[start::PACKERS]) for start in range(min(PACKERS, len(layers)))]


def pressing(packing: Packing, aside: str) -> Pressing:
    """That way of packing, as the keeper is asked for it; `aside` is a directory for the blobs."""
    from jettison.sandbox.spec import Pressing

    return Pressing(
        blobs=aside if packing.compression else "",
        compression=packing.compression or "uncompressed",
        clamp_epoch=packing.clamp_epoch,
    )


def adopt(store: Store, aside: str, packed: Iterable[Packed]) -> None:
    """Take blobs that were packed into the directory `aside` into the store; equal layers are one blob."""
    for digest in {made.digest for made in packed if made.digest}:
        store.blobs.adopt(f"{aside}/{digest[7:]}", digest)


def learn(store: Store, layer: str, made: Packed, packing: Packing) -> PackedFact:
    """Remember how a layer was packed."""
    from jettison.layer.name import compressor_name

    fact = PackedFact(
        layer=layer,
        compression=packing.compression,
        clamp_epoch=packing.clamp_epoch,
        compressor=compressor_name(packing.compression),
        diff_id=made.diff_id,
        digest=made.digest,
        size_bytes=made.size_bytes,
        tar_bytes=made.tar_bytes,
    )
    store.layers.add_packed(fact)
    store.layers.learn(layer, diff_id="" if packing.clamp_epoch is not None else made.diff_id)
    return fact
