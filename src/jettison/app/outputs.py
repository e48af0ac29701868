"""The image of a solved plan: its layers packed, its config assembled, its names set. Exports are in `exports`.

Layers are only hashed (their diff_ids are in the config) until an output needs their bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from jettison.app.images import Base
from jettison.app.materials import Materials, each
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.base.errors import InternalError
from jettison.oci.documents import Descriptor, HistoryEntry, ImageConfig
from jettison.oci.image import EMPTY_DIFF_ID, LAYER_TYPES, Assembled, LayerFacts, assemble
from jettison.planning import ops
from jettison.planning.graph import Plan
from jettison.record.model import LayerRecord
from jettison.solve.ports import Result
from jettison.store.layers import PackedFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.sandbox.spec import Packed, PackRequest

HASH_ONLY = ""
PACKERS = 4  # processes at once; each compresses large layers with threads of its own


class BuiltLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of a built image. `layer` is its id in the store ("" for an empty one), `step` "" for a base's."""

    diff_id: str
    layer: str
    step: str = ""
    tar_bytes: int = 0
    descriptor: Descriptor | None = None


class BuiltImage(msgspec.Struct, frozen=True, kw_only=True):
    """A finished image: `config` are the bytes whose digest is its id; `layers` bottom first, one a diff_id."""

    platform: str
    config: bytes
    config_digest: str
    document: ImageConfig
    layers: tuple[BuiltLayer, ...]

    @property
    def stack(self) -> tuple[str, ...]:
        """The ids of the layers that hold something, bottom first."""
        return tuple(layer.layer for layer in self.layers if layer.layer)

    def records(self) -> tuple[LayerRecord, ...]:
        """The layers as the record has them."""
        return tuple(_record(layer) for layer in self.layers)


def _record(layer: BuiltLayer) -> LayerRecord:
    blob = layer.descriptor
    return LayerRecord(
        diff_id=layer.diff_id,
        step=layer.step,
        digest=blob.digest if blob else "",
        size_bytes=blob.size if blob else 0,
        tar_bytes=layer.tar_bytes,
    )


Inline = Callable[[tuple[BuiltLayer, ...]], dict[str, Any]]


class Packing(msgspec.Struct, frozen=True):
    """How layers become blobs: `compression` "" only hashes; `clamp_epoch` (s) limits every mtime."""

    compression: str = HASH_ONLY
    clamp_epoch: int | None = None


class Packer:
    """Packs layers in the keeper; what was packed once in just that way is remembered."""

    def __init__(self, session: Session, materials: Materials) -> None:
        self._session = session
        self._store = session.store
        self._materials = materials

    def pack(self, layers: tuple[str, ...], packing: Packing, base: tuple[str, ...] = ()) -> dict[str, PackedFact]:
        """Every layer, packed; several at once. `base`: the stack of those that come from a base, bottom first."""
        from jettison.layer.name import compressor_name

        compressor = compressor_name(packing.compression)
        known = self.known(layers, packing)
        missing = [layer for layer in dict.fromkeys(layers) if layer not in known]
        if not set(base).isdisjoint(missing):
            self._materials.directories(base)  # each on those below it, which have what it takes for granted
        made = each(shared_out(missing), lambda some: self._pack(some, packing, compressor))
        return known | {fact.layer: fact for facts in made.values() for fact in facts}

    def known(self, layers: tuple[str, ...], packing: Packing) -> dict[str, PackedFact]:
        """The layers that were packed in just that way, and what came of it is here or can be fetched."""
        from jettison.layer.name import compressor_name

        compressor = compressor_name(packing.compression)
        found = (
            self._store.layers.packed(layer, packing.compression, packing.clamp_epoch, compressor)
            for layer in dict.fromkeys(layers)
        )
        return {fact.layer: fact for fact in found if fact is not None and self._is_whole(fact)}

    def _is_whole(self, fact: PackedFact) -> bool:
        if not fact.digest or self._store.blobs.has(fact.digest):
            return True
        blobs = self._store.layers.blobs_of(fact.layer) if is_digest(fact.layer) else ()
        return any(blob.digest == fact.digest and blob.sources for blob in blobs)

    def _pack(self, layers: tuple[str, ...], packing: Packing, compressor: str) -> tuple[PackedFact, ...]:
        """Some layers, one after the other."""
        from jettison.sandbox.spec import PackAllRequest, PackedAll

        with self._store.scratch() as aside:
            packs = tuple(self._request(layer, packing, aside) for layer in layers)
            reply = self._session.keeper().ask(PackAllRequest(packs=packs), cancel=self._session.cancel)
            if not isinstance(reply, PackedAll):
                raise InternalError(f"the keeper answered {type(reply).__name__}")
            for digest in {made.digest for made in reply.packed if made.digest}:  # equal layers are one blob
                self._store.blobs.adopt(f"{aside}/{digest[7:]}", digest)
        return tuple(
            self._learn(layer, made, packing, compressor) for layer, made in zip(layers, reply.packed, strict=True)
        )

    def _request(self, layer: str, packing: Packing, aside: str) -> PackRequest:
        from jettison.sandbox.spec import PackRequest

        return PackRequest(
            snapshot=self._materials.directories((layer,))[0],
            blobs=aside if packing.compression else "",
            compression=packing.compression or "uncompressed",
            clamp_epoch=packing.clamp_epoch,
        )

    def _learn(self, layer: str, reply: Packed, packing: Packing, compressor: str) -> PackedFact:
        fact = PackedFact(
            layer=layer,
            compression=packing.compression,
            clamp_epoch=packing.clamp_epoch,
            compressor=compressor,
            diff_id=reply.diff_id,
            digest=reply.digest,
            size_bytes=reply.size_bytes,
            tar_bytes=reply.tar_bytes,
        )
        self._store.layers.add_packed(fact)
        self._store.layers.learn(layer, diff_id="" if packing.clamp_epoch is not None else reply.diff_id)
        return fact


def shared_out(layers: list[str]) -> list[tuple[str, ...]]:
    """Layers in a few groups: each is packed by a process, and most layers are too small to be worth one."""
    return [tuple(layers[start::PACKERS]) for start in range(min(PACKERS, len(layers)))]


class Assembler:
    """Makes the image of a plan from its results."""

    def __init__(self, session: Session, packer: Packer, epoch: int | None) -> None:
        self._session = session
        self._store = session.store
        self._packer = packer
        self._epoch = epoch

    def image(
        self,
        plan: Plan,
        results: Mapping[str, Result],
        base: Base | None,
        packing: Packing,
        inline: Inline | None = None,
    ) -> BuiltImage:
        """The image with its layers packed as `packing` says. `inline` gives further members of its config."""
        added = {step: results[step].added for step in plan.lineage[1:]}
        own = tuple(layer for layers in added.values() for layer in layers)
        below = tuple(row.layer for row in base.rows if row.layer and _repack(row.descriptor, packing)) if base else ()
        packed = self._packer.pack((*below, *own), packing, base.layers if base else ())
        lower = _base_layers(base, packed)
        upper = _own_layers(plan, added, packed)
        history = self._history(plan, upper, added)
        members = inline((*lower, *upper)) if inline is not None else None
        assembled = self._assembled(plan, lower, upper, history, members)
        return BuiltImage(
            platform=plan.platform,
            config=assembled.config,
            config_digest=assembled.digest,
            document=assembled.document,
            layers=(*lower, *upper),
        )

    def stack_alone(self, plan: Plan, results: Mapping[str, Result]) -> BuiltImage:
        """The image's files without its documents: nothing is packed, no digest is made."""
        layers = tuple(BuiltLayer(diff_id="", layer=layer) for layer in results[plan.result].layers)
        return BuiltImage(platform=plan.platform, config=b"", config_digest="", document=plan.config, layers=layers)

    def _assembled(
        self,
        plan: Plan,
        lower: tuple[BuiltLayer, ...],
        upper: tuple[BuiltLayer, ...],
        history: list[tuple[HistoryEntry, LayerFacts | None]],
        members: dict[str, Any] | None,
    ) -> Assembled:
        rootfs = msgspec.structs.replace(plan.config.rootfs, diff_ids=tuple(layer.diff_id for layer in lower))
        config = msgspec.structs.replace(plan.config, rootfs=rootfs)
        newest = next((entry.created for entry, _ in reversed(history) if entry.created), None)
        newest = newest or next((entry.created for entry in reversed(config.history) if entry.created), None)
        created = rfc3339(self._epoch) if self._epoch is not None else newest or rfc3339(int(time.time()))
        added = [LayerFacts(diff_id=layer.diff_id) for layer in upper]
        return assemble(config, history, created=created, added=added, members=members)

    def _history(
        self, plan: Plan, upper: tuple[BuiltLayer, ...], added: dict[str, tuple[str, ...]]
    ) -> list[tuple[HistoryEntry, LayerFacts | None]]:
        """This build's entries with their times: a layer's is that of its making, so that warm and cold agree."""
        facts = {layer.step: LayerFacts(diff_id=layer.diff_id) for layer in upper}
        last: str | None = None
        entries: list[tuple[HistoryEntry, LayerFacts | None]] = []
        for planned in plan.history:
            fact = facts.get(planned.step) if planned.step else None
            if fact is not None and planned.step:
                last = self._made_at(added[planned.step]) or last
            created = rfc3339(self._epoch) if self._epoch is not None else last
            entries.append((msgspec.structs.replace(planned.entry, created=created), fact))
        return entries

    def _made_at(self, layers: tuple[str, ...]) -> str | None:
        facts = [self._store.layers.get(layer) for layer in layers]
        times = [fact.created_s for fact in facts if fact is not None and fact.created_s]
        return rfc3339(max(times)) if times else None


def _repack(descriptor: Descriptor | None, packing: Packing) -> bool:
    """Whether a base's layer must be packed by us: it never was a blob, or its times are to be clamped."""
    return descriptor is None or packing.clamp_epoch is not None


def _base_layers(base: Base | None, packed: dict[str, PackedFact]) -> tuple[BuiltLayer, ...]:
    if base is None:
        return ()
    made = []
    for row in base.rows:
        fact = packed.get(row.layer)
        if fact is None:
            made.append(BuiltLayer(diff_id=row.diff_id, layer=row.layer, descriptor=row.descriptor))
        else:
            made.append(_built(fact, row.layer, ""))
    return tuple(made)


def _own_layers(plan: Plan, added: dict[str, tuple[str, ...]], packed: dict[str, PackedFact]) -> tuple[BuiltLayer, ...]:
    made: list[BuiltLayer] = []
    for step, layers in added.items():
        made.extend(_built(packed[layer], layer, step) for layer in layers)
        if not layers and isinstance(plan.step(step).op, (ops.RunOp, ops.CopyOp)):
            # A step that changed nothing has an empty layer; only a WORKDIR that was there has none (reference §1.9).
            made.append(BuiltLayer(diff_id=EMPTY_DIFF_ID, layer="", step=step))
    return tuple(made)


def _built(fact: PackedFact, layer: str, step: str) -> BuiltLayer:
    descriptor = None
    if fact.digest:
        media_type = LAYER_TYPES[fact.compression]
        descriptor = Descriptor(media_type=media_type, digest=fact.digest, size=fact.size_bytes)
    return BuiltLayer(diff_id=fact.diff_id, layer=layer, step=step, tar_bytes=fact.tar_bytes, descriptor=descriptor)


def rfc3339(seconds: int) -> str:
    """A time as image documents write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
