"""The image of a solved plan: its layers packed (`packing`), its config assembled. Exports are in `exports`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from jettison.app.images import Base
from jettison.app.packing import Packer, Packing
from jettison.app.session import Session
from jettison.oci.documents import Descriptor, HistoryEntry, ImageConfig
from jettison.oci.image import EMPTY_DIFF_ID, LAYER_TYPES, Assembled, LayerFacts, assemble
from jettison.planning import ops
from jettison.planning.graph import Plan
from jettison.record.model import LayerRecord
from jettison.solve.ports import Result
from jettison.store.layers import PackedFact

if TYPE_CHECKING:
    from collections.abc import Mapping


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
