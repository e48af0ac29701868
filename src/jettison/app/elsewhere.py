"""`--cache-from`: results that another machine made, found by key. Read when something is first missed here.

What comes from there is trusted as far as a digest goes. A cache that cannot be read, is damaged or is somebody else's
is a warning; a layer of it that cannot be had is a rebuild (`recovery`); neither is ever a wrong image.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator

import msgspec

from jettison.app.cache import OFFERED, StoreCache, result_of
from jettison.app.cachefiles import Carried, Fetched, read_cache
from jettison.app.images import Images, blob_fact
from jettison.app.materials import each
from jettison.app.request import CacheSource
from jettison.app.session import Session
from jettison.base.errors import Cancelled, JettisonError
from jettison.oci.cachedoc import CachedLayer, CachedResult
from jettison.oci.documents import Descriptor
from jettison.oci.image import LAYER_TYPES
from jettison.record.model import KeyPart, Warned
from jettison.solve.performed import place_of
from jettison.solve.ports import Candidate, Emit, Result
from jettison.store import results
from jettison.store.cachemounts import name_of
from jettison.store.layers import PackedFact
from jettison.store.results import SavedResult

_COMPRESSIONS = {media_type: name for name, media_type in LAYER_TYPES.items()}


class Elsewhere:
    """The caches of a build. Safe from several threads; each is asked once, when it is first needed."""

    def __init__(
        self, sources: tuple[CacheSource, ...], session: Session, images: Images, emit: Emit, platforms: tuple[str, ...]
    ) -> None:
        self._sources = sources
        self._session = session
        self._images = images
        self._emit = emit
        self._platforms = platforms
        self._lock = threading.Lock()
        self._read: tuple[_Known, ...] | None = None
        self._lost: set[str] = set()
        self._taught: set[str] = set()

    def result(self, key: str) -> SavedResult | None:
        """What a key means in one of the caches. From then on the store knows it, and where its layers' bytes are."""
        for known in self._known():
            found = known.results.get(key)
            saved = None if found is None else self._usable(known.fetched, found)
            if found is not None and saved is not None:
                self._adopt(known.fetched, found, key, saved)
                return saved
        return None

    def is_empty(self) -> bool:
        """Whether there is no result in any of them, or none could be read."""
        return not any(known.results for known in self._known())

    def mount(self, cache_id: str) -> Carried | None:
        """What a cache mount held, in the first cache that has it."""
        name = name_of(cache_id)
        return next((known.mounts[name] for known in self._known() if name in known.mounts), None)

    def last_at(self, place: str) -> CachedResult | None:
        """What stood at a place (platform and step), in the first cache that knows of one."""
        return next((known.by_place[place] for known in self._known() if place in known.by_place), None)

    def of_op(self, op_digest: str) -> list[CachedResult]:
        """The results of an op."""
        return [result for known in self._known() for result in known.by_op.get(op_digest, ())]

    def lose(self, layers: Collection[str]) -> None:
        """Layers that cannot be had: no result with them is given from now on."""
        self._lost.update(layers)

    def _known(self) -> tuple[_Known, ...]:
        with self._lock:
            if self._read is None:
                found = each([str(at) for at in range(len(self._sources))], lambda at: self._fetch(int(at)))
                self._read = tuple(_Known(fetched) for at in sorted(found, key=int) for fetched in found[at])
            return self._read

    def _fetch(self, at: int) -> tuple[Fetched, ...]:
        source = self._sources[at]
        what = source.ref or source.src
        try:
            return tuple(read_cache(source, self._session, self._platforms))
        except Cancelled:
            raise
        except JettisonError as error:
            self._emit(Warned(message=f"the cache {what} is not used: {error.message.removeprefix(f'{what}: ')}"))
            return ()

    def _usable(self, fetched: Fetched, found: CachedResult) -> SavedResult | None:
        """The result, if every layer of it can be had: from the cache, or with a base of this build."""
        layers = fetched.document.layers
        stack = tuple(layers[number].diff_id for number in found.layers)
        bases = self._images.base_layers()
        if not self._lost.isdisjoint(stack):
            return None
        if not all(diff_id in bases or fetched.blob(layers[n]) for n, diff_id in zip(found.layers, stack, strict=True)):
            return None
        return SavedResult(found.id, stack, stack[len(stack) - found.added :])

    def _adopt(self, fetched: Fetched, found: CachedResult, key: str, saved: SavedResult) -> None:
        store = self._session.store
        bases = self._images.base_layers()
        with store.index.write():
            for layer in (fetched.document.layers[number] for number in found.layers):
                blob = fetched.blob(layer)
                if blob is not None and layer.diff_id not in bases and layer.diff_id not in self._taught:
                    self._teach(fetched, layer, blob)
                    self._taught.add(layer.diff_id)
            results.adopt(store.index, key, saved, found.keys)

    def _teach(self, fetched: Fetched, layer: CachedLayer, blob: Descriptor) -> None:
        layers = self._session.store.layers
        layers.add_blob(blob_fact(layer.diff_id, blob, fetched.source))
        layers.learn(layer.diff_id, diff_id=layer.diff_id, created_s=fetched.created_s(layer))
        for packed in _packed(layer, blob):
            layers.add_packed(packed)


class _Known:
    """One cache's document, by what is looked for in it."""

    def __init__(self, fetched: Fetched) -> None:
        self.fetched = fetched
        self.results = {key: result for result in fetched.document.results for key in result.keys}
        self.by_place: dict[str, CachedResult] = {}
        self.by_op: dict[str, list[CachedResult]] = {}
        for result in fetched.document.results:
            if result.made is not None:
                self.by_place.setdefault(result.made.place, result)
                self.by_op.setdefault(result.made.op, []).append(result)
        self.mounts = {mount.name: Carried(mount.blob, fetched.source) for mount in fetched.document.mounts}


def _packed(layer: CachedLayer, blob: Descriptor) -> Iterator[PackedFact]:
    """What packing the layer would give: its diff_id, and, of a compressor that is named, its blob."""
    alone = PackedFact(
        layer=layer.diff_id,
        compression="",
        clamp_epoch=None,
        compressor="",
        diff_id=layer.diff_id,
        digest="",
        size_bytes=0,
        tar_bytes=layer.tar_bytes,
    )
    yield alone
    compression = _COMPRESSIONS.get(blob.media_type)
    if compression and (layer.compressor or compression == "uncompressed"):
        yield msgspec.structs.replace(
            alone, compression=compression, compressor=layer.compressor, digest=blob.digest, size_bytes=blob.size
        )


class SharedCache(StoreCache):
    """The store's results, and behind them those of caches elsewhere."""

    def __init__(self, session: Session, elsewhere: Elsewhere, scope: str) -> None:
        super().__init__(session.store)
        self._elsewhere = elsewhere
        self._scope = scope

    def find(self, key: str) -> Result | None:
        """The result under `key`, here or elsewhere. See `solve.ports.ResultCache.find`."""
        found = super().find(key)
        if found is not None:
            return found
        saved = self._elsewhere.result(key)
        return result_of(saved) if saved is not None and self._is_whole(saved) else None

    def last_at(self, site: str) -> Candidate | None:
        """What stood there last: here, else where the cache was made."""
        found = super().last_at(site)
        if found is None and (cached := self._elsewhere.last_at(place_of(site))) is not None:
            found = self._candidate(cached)
        return found

    def candidates(self, op_digest: str) -> tuple[Candidate, ...]:
        """Earlier results of the op: those of here, else what caches elsewhere say of theirs."""
        return super().candidates(op_digest) or tuple(map(self._candidate, self._elsewhere.of_op(op_digest)))[:OFFERED]

    def _candidate(self, cached: CachedResult) -> Candidate:
        names, values = (cached.made.parts[::2], cached.made.parts[1::2]) if cached.made is not None else ((), ())
        return Candidate(
            site=f"{self._scope} {cached.made.place}" if cached.made is not None else "",
            result=Result(id=cached.id),
            parts=tuple(map(KeyPart, names, values)),
            salt=cached.keys[0],
        )

    def known_ops(self, op_digests: Collection[str]) -> frozenset[str]:
        """Those that the store may know; all of them where a cache elsewhere has anything: it names the keys of its
        results, and not what they are of.
        """
        here = super().known_ops(op_digests)
        asked = frozenset(op_digests)
        return here if here == asked or self._elsewhere.is_empty() else asked
