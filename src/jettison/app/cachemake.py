"""What of a build goes into a cache: its results with their keys, and the layers that they stand on, as blobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from jettison.app.cache import saved_of
from jettison.app.elsewhere import Elsewhere
from jettison.app.finish import Solved
from jettison.app.images import Images, known_blob
from jettison.app.materials import Materials
from jettison.app.outputs import BuiltLayer
from jettison.app.packing import Packer, Packing
from jettison.app.request import CacheTarget
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.base.errors import InternalError
from jettison.layer.name import compressor_name
from jettison.oci.cachedoc import (
    MAX_KEYS,
    MOST_TOLD,
    SCHEMA,
    CachedLayer,
    CachedMount,
    CacheDocument,
    CachedOrigin,
    CachedResult,
    inline_value,
    is_origin,
)
from jettison.oci.documents import Descriptor
from jettison.oci.image import LAYER_TYPES
from jettison.planning import ops
from jettison.planning.graph import Plan
from jettison.record.model import Warned
from jettison.sandbox.spec import Faith, FaithRequest
from jettison.solve.key import KEY_VERSION, content_digest, op_digest_of, sealed
from jettison.solve.performed import place_of
from jettison.solve.ports import Emit, Key, Result
from jettison.solve.run import SolveOutcome
from jettison.store import results
from jettison.store.layers import BlobFact
from jettison.store.results import SavedCandidate, SavedResult

Lost = Mapping[str, str]  # why it cannot go, by what cannot
Reach = Callable[[list[BlobFact]], Lost]


class Chosen(msgspec.Struct, frozen=True):
    """A result that goes, under its definition key. The lowest `base` layers of its stack come with a base."""

    key: Key
    result: Result
    base: int

    @property
    def saved(self) -> SavedResult:
        """As the index has it."""
        return saved_of(self.result)

    @property
    def own(self) -> tuple[str, ...]:
        """The layers that must go with it: all that no base brings, bottom first."""
        layers = self.result.layers
        made = tuple(layer for layer in layers[: self.base] if not is_digest(layer))
        return (*made, *layers[self.base :])


class Made(msgspec.Struct, frozen=True):
    """A document and where the blobs that it names are: each is in the store, or can be fetched."""

    document: CacheDocument
    blobs: tuple[BlobFact, ...]


def chosen(plans: Iterable[Plan], outcome: SolveOutcome, images: Images, mode: str) -> list[Chosen]:
    """The results that are to go: of the final images' own steps (min), or of all that are known (max)."""
    found: dict[str, Chosen] = {}
    for plan in plans:
        wanted = plan.lineage if mode == "min" else [step.id for step in plan.steps]
        for name in wanted:
            key, result = outcome.keys.get(name), outcome.results.get(name)
            if key is None or result is None or isinstance(plan.step(name).op, ops.ScratchOp):
                continue
            base = _base_of(plan, name, images)
            count = len(base) if result.layers[: len(base)] == base else 0
            found.setdefault(key.digest, Chosen(key, result, count))
    return list(found.values())


def _base_of(plan: Plan, name: str, images: Images) -> tuple[str, ...]:
    """The layers of the image that a step stands on."""
    step = plan.step(name)
    while step.inputs:
        step = plan.step(step.inputs[0])
    return images.base(step.op.digest).layers if isinstance(step.op, ops.ImageOp) else ()


class CacheMaker:
    """Makes the documents of a build."""

    def __init__(
        self,
        session: Session,
        materials: Materials,
        images: Images,
        emit: Emit,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._session = session
        self._store = session.store
        self._packer = Packer(session, materials)
        self._images = images
        self._emit = emit

    def inline(self, plan: Plan, outcome: SolveOutcome, layers: tuple[BuiltLayer, ...]) -> Any:
        """The value of the member of an image's config: results of its own steps, on its own layers. It depends on the
        image alone, so that a warm build's image is a cold one's: no times, no keys of content.
        """
        found = chosen((plan,), outcome, self._images, "min")
        built = {layer.layer: layer for layer in layers if layer.layer}

        def cached(layer: str) -> CachedLayer:
            return CachedLayer(diff_id=built[layer].diff_id, tar_bytes=built[layer].tar_bytes)

        sheet = _Sheet()
        for one in self._fit(found):
            sheet.add(one, (one.key.digest,), cached)
        return inline_value(sheet.document())

    def document(
        self,
        solved: Solved,
        target: CacheTarget,
        mounts: Iterable[CachedMount],
        reach: Reach,
    ) -> Made:
        """The document of a cache of its own, and its blobs, packed now where they never were.

        `reach` is asked for those that other machines made, and answers which of them nobody has any more, and why.
        """
        kept = self._fit(chosen(solved.plans, solved.outcome, self._images, target.mode))
        layers = dict.fromkeys(layer for one in kept for layer in one.own)
        carried = {layer: blob for layer in layers if is_digest(layer) and (blob := known_blob(self._store, layer))}
        lost = reach(list(carried.values()))
        kept = self._without(kept, {layer: lost[blob.digest] for layer, blob in carried.items() if blob.digest in lost})
        layers = dict.fromkeys(layer for one in kept for layer in one.own)
        packed = self._packed([layer for layer in layers if layer not in carried], target.compression)
        blobs = {layer: carried.get(layer) or packed[layer] for layer in layers}
        others = results.keys_by_result(self._store.index)
        sheet = _Sheet()
        for one in kept:
            earlier = self._earlier(one)
            keys = self._keys(one, earlier, others)
            sheet.add(one, keys, lambda layer: self._cached(layer, blobs[layer]), self._origin(one, earlier))
        return Made(sheet.document(tuple(mounts)), tuple(blobs.values()))

    def _earlier(self, one: Chosen) -> list[SavedCandidate]:
        """What is known of how the result was made, the newest first."""
        found = results.candidates(self._store.index, op_digest_of(one.key), results.KEPT_OF_AN_OP)
        return [each for each in found if each.result == one.saved]

    def _keys(
        self, one: Chosen, earlier: list[SavedCandidate], others: Mapping[SavedResult, tuple[str, ...]]
    ) -> tuple[str, ...]:
        """The keys of a result: its definition's, and those of the contents that are known to yield it."""
        contents = (content_digest(other.parts) for other in earlier)
        # A result that added nothing is that of many other steps, too.
        same = others.get(one.saved, ()) if one.result.added else ()
        return tuple(dict.fromkeys((one.key.digest, *contents, *same)))[:MAX_KEYS]

    def _origin(self, one: Chosen, earlier: list[SavedCandidate]) -> CachedOrigin | None:
        """What a miss elsewhere is explained by: how it was made here, or what the cache said that it came from."""
        salt, op = one.key.digest, op_digest_of(one.key)
        if earlier:
            parts = (text for part in sealed(earlier[0].parts, salt) for text in (part.name, part.value))
            return CachedOrigin(op=op, place=place_of(earlier[0].site), parts=tuple(parts))
        told = self._elsewhere.of_op(op) if self._elsewhere is not None else ()
        return next((each.made for each in told if each.keys[0] == salt), None)

    def _packed(self, layers: list[str], compression: str) -> dict[str, BlobFact]:
        """Blobs of layers, made now or before, by the layers' ids."""
        media_type = LAYER_TYPES[compression]
        return {
            layer: BlobFact(diff_id=fact.diff_id, digest=fact.digest, media_type=media_type, size_bytes=fact.size_bytes)
            for layer, fact in self._packer.pack(tuple(layers), Packing(compression)).items()
        }

    def _cached(self, layer: str, blob: BlobFact) -> CachedLayer:
        fact = self._store.layers.get(layer)
        compression = next((name for name, media_type in LAYER_TYPES.items() if media_type == blob.media_type), "")
        name = compressor_name(compression)
        packed = self._store.layers.packed(layer, compression, None, name)
        hashed = packed or self._store.layers.hashed(layer, None)
        return CachedLayer(
            diff_id=blob.diff_id,
            blob=descriptor_of(blob),
            created_s=fact.created_s if fact else 0,
            tar_bytes=hashed.tar_bytes if hashed else 0,
            compressor=name if packed is not None and packed.digest == blob.digest else "",
        )

    def _fit(self, found: list[Chosen]) -> list[Chosen]:
        """The results all of whose layers come back from a layer's tar as they were."""
        made = [layer for layer in dict.fromkeys(layer for one in found for layer in one.own) if not is_digest(layer)]
        return self._without(found, {layer: problem for layer in made if (problem := self._problem(layer))})

    def _without(self, found: list[Chosen], problems: Lost) -> list[Chosen]:
        """The results without those that stand on a layer with a problem."""
        for problem in problems.values():
            self._emit(Warned(message=f"a layer is left out of the cache, with all that stands on it: {problem}"))
        return [one for one in found if problems.keys().isdisjoint(one.own)]

    def _problem(self, layer: str) -> str:
        key = f"faith {layer}"
        known = self._store.answers.get(key)
        if known is not None:
            return known.decode()
        reply = self._session.keeper().ask(FaithRequest(snapshot=self._store.snapshot_path(layer)))
        if not isinstance(reply, Faith):
            raise InternalError(f"the keeper answered {type(reply).__name__}")
        text = reply.problem.encode("utf-8", "backslashreplace")
        self._store.answers.put(key, text)
        return text.decode()


class _Sheet:
    """A document being written: every layer gets a number once."""

    def __init__(self) -> None:
        self._layers: list[CachedLayer] = []
        self._numbers: dict[str, int] = {}
        self._results: list[CachedResult] = []
        self._left = MOST_TOLD

    def add(
        self,
        one: Chosen,
        keys: tuple[str, ...],
        cached: Callable[[str], CachedLayer],
        made: CachedOrigin | None = None,
    ) -> None:
        """Write down a result. `cached` says what is known of a layer that no base brings."""
        if made is not None:
            self._left -= sum(map(len, made.parts))
            made = made if self._left >= 0 and is_origin(made) else None
        own = frozenset(one.own)
        stack = (cached(layer) if layer in own else CachedLayer(diff_id=layer) for layer in one.result.layers)
        numbers = tuple(map(self._number, stack))
        self._results.append(
            CachedResult(keys=keys, id=one.result.id, layers=numbers, added=len(one.result.added), made=made)
        )

    def _number(self, layer: CachedLayer) -> int:
        number = self._numbers.setdefault(layer.diff_id, len(self._layers))
        if number == len(self._layers):
            self._layers.append(layer)
        elif self._layers[number].blob is None:
            self._layers[number] = layer
        return number

    def document(self, mounts: tuple[CachedMount, ...] = ()) -> CacheDocument:
        """All of it."""
        return CacheDocument(
            schema=SCHEMA,
            key_version=KEY_VERSION,
            layers=tuple(self._layers),
            results=tuple(self._results),
            mounts=mounts,
        )


def descriptor_of(blob: BlobFact) -> Descriptor:
    """A blob of the store as documents name it."""
    return Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size_bytes)
