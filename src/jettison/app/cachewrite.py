"""`--cache-to`: a build's results written where another machine finds them, and what its cache mounts hold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Protocol, TypeVar

import msgspec

from jettison.app.cachemake import CacheMaker, Reach, descriptor_of
from jettison.app.elsewhere import Elsewhere
from jettison.app.finish import Solved
from jettison.app.images import Images
from jettison.app.materials import Materials, each
from jettison.app.request import CacheTarget
from jettison.app.session import Session
from jettison.base.errors import Cancelled, InputError, InternalError, JettisonError, NetworkError
from jettison.oci.cachedoc import CACHE, CACHE_MOUNT, CachedMount, cache_bytes, cache_manifest, described
from jettison.oci.documents import MANIFEST, Descriptor
from jettison.planning import ops
from jettison.record.model import ExportFinished, ExportStarted, Warned
from jettison.sandbox import spec
from jettison.solve.ports import Emit
from jettison.store.cachemounts import name_of
from jettison.store.layers import BlobFact

_SUFFIXES = {"gzip": "+gzip", "zstd": "+zstd", "uncompressed": ""}
_LABEL_CHARACTERS = 200
_AT_ONCE = 4  # blobs on their way

_Made = TypeVar("_Made")


class Shipped(msgspec.Struct, frozen=True):
    """A blob that goes: from the file at `path`, or, where that is "", from the store, which may have to fetch it."""

    blob: Descriptor
    path: str = ""
    fact: BlobFact | None = None


class CacheWriter:
    """Writes caches after a build."""

    def __init__(
        self, session: Session, materials: Materials, images: Images, emit: Emit, elsewhere: Elsewhere | None
    ) -> None:
        self._session = session
        self._store = session.store
        self._materials = materials
        self._elsewhere = elsewhere
        self._emit = emit
        self._maker = CacheMaker(session, materials, images, emit, elsewhere)

    def write(self, target: CacheTarget, solved: Solved) -> None:
        """Write one cache. What goes wrong is raised, or, with ignore-error, told as a warning."""
        what = f"cache to {target.ref or target.dest}"
        began = time.monotonic()
        self._emit(ExportStarted(what=what))
        try:
            self._write(target, solved)
        except Cancelled:
            raise
        except JettisonError as error:
            if not target.ignore_error:
                raise
            self._emit(Warned(message=f"the cache was not written: {error.message}"))
            what = "no cache"
        self._emit(ExportFinished(what=what, duration_ms=round((time.monotonic() - began) * 1000, 3)))

    def _write(self, target: CacheTarget, solved: Solved) -> None:
        place: _Place = _Layout(target) if target.type == "local" else _Repository(target.ref, self._session)

        def reach(blobs: list[BlobFact]) -> dict[str, str]:
            return self._reach(place, blobs)

        with ExitStack() as held:
            mounts = list(self._mounts(solved, target, held, reach)) if target.mounts else []
            made = self._maker.document(solved, target, [mount for mount, _ in mounts], reach)
            blobs = {blob.digest: Shipped(descriptor_of(blob), fact=blob) for blob in made.blobs}
            blobs |= {one.blob.digest: one for _, one in mounts}
            there = _some_at_once(blobs, lambda digest: place.has(blobs[digest].blob))
            missing = [digest for digest, is_there in there.items() if not is_there]
            files = _some_at_once(missing, lambda digest: self._file(blobs[digest]))
            config = cache_bytes(made.document)
            manifest = cache_manifest(config, (one.blob for one in blobs.values()))
            place.put(config, manifest, [(blobs[digest].blob, path) for digest, path in files.items()])

    def _reach(self, place: _Place, blobs: list[BlobFact]) -> dict[str, str]:
        """Why blobs that other machines made cannot go, by digest: nobody has them any more."""
        by_digest = {blob.digest: blob for blob in blobs}

        def problem(digest: str) -> str:
            blob = by_digest[digest]
            try:
                if not self._store.blobs.has(digest) and not place.has(descriptor_of(blob)):
                    self._materials.fetch(blob)
            except (InputError, NetworkError) as error:
                return error.message
            return ""

        return {digest: text for digest, text in _some_at_once(by_digest, problem).items() if text}

    def _file(self, one: Shipped) -> str:
        """The file with the blob's bytes."""
        if one.path:
            return one.path
        if one.fact is None:
            raise InternalError(f"blob {one.blob.digest} has no place")
        self._materials.fetch(one.fact)
        return self._store.blobs.path(one.blob.digest)

    def _mounts(
        self, solved: Solved, target: CacheTarget, held: ExitStack, reach: Reach
    ) -> Iterator[tuple[CachedMount, Shipped]]:
        """What every cache mount of the build holds. One that no step used here goes as it came."""
        runs = (step.op for plan in solved.plans for step in plan.steps if isinstance(step.op, ops.RunOp))
        mounts = (mount for run in runs for mount in run.mounts if isinstance(mount, ops.CacheMount))
        for cache_id in dict.fromkeys(mount.id for mount in mounts):
            label = cache_id.encode("utf-8", "replace").decode()[:_LABEL_CHARACTERS]
            shipped = self._packed(cache_id, target, held) or self._carried(cache_id, reach)
            if shipped is not None:
                yield CachedMount(name=name_of(cache_id), label=label, blob=shipped.blob), shipped

    def _packed(self, cache_id: str, target: CacheTarget, held: ExitStack) -> Shipped | None:
        caches = self._store.caches
        if not os.path.lexists(caches.first(cache_id)):
            return None
        scratch = held.enter_context(self._store.scratch())
        with caches.hold(cache_id, "locked", cancel=self._session.cancel) as directory:
            request = spec.PackDirectoryRequest(directory=directory, blobs=scratch, compression=target.compression)
            reply = self._session.keeper().ask(request, cancel=self._session.cancel)
        if not isinstance(reply, spec.Packed):
            raise InternalError(f"the keeper answered {type(reply).__name__}")
        path = os.path.join(scratch, reply.digest[7:])
        held.callback(os.unlink, path)
        media_type = CACHE_MOUNT + _SUFFIXES[target.compression]
        return Shipped(Descriptor(media_type=media_type, digest=reply.digest, size=reply.size_bytes), path)

    def _carried(self, cache_id: str, reach: Reach) -> Shipped | None:
        found = self._elsewhere.mount(cache_id) if self._elsewhere is not None else None
        if found is None or reach([found.fact()]):
            return None
        return Shipped(found.blob, fact=found.fact())


class _Place(Protocol):
    """Where a cache goes."""

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there already."""

    def put(self, config: bytes, manifest: bytes, blobs: list[tuple[Descriptor, str]]) -> None:
        """Put the cache there. `blobs` are those that it lacks, with their files."""


class _Layout:
    """A directory."""

    def __init__(self, target: CacheTarget) -> None:
        self._target = target
        self._whole: set[str] = set()

    def has(self, blob: Descriptor) -> bool:
        from jettison.export.cachelayout import is_whole

        if blob.digest not in self._whole and is_whole(self._target.dest, blob):
            self._whole.add(blob.digest)
        return blob.digest in self._whole

    def put(self, config: bytes, manifest: bytes, blobs: list[tuple[Descriptor, str]]) -> None:
        from jettison.export.cachelayout import write_cache

        write_cache(self._target.dest, self._target.tag, config, manifest, blobs)


class _Repository:
    """A registry's repository, and the tag there."""

    def __init__(self, ref: str, session: Session) -> None:
        self._ref = ref
        self._registry = session.registry()
        self._cancel = session.cancel
        self._there: set[str] = set()

    def has(self, blob: Descriptor) -> bool:
        if blob.digest not in self._there and self._registry.has_blob(self._ref, blob.digest, self._cancel):
            self._there.add(blob.digest)
        return blob.digest in self._there

    def put(self, config: bytes, manifest: bytes, blobs: list[tuple[Descriptor, str]]) -> None:
        by_digest = {blob.digest: (blob, path) for blob, path in blobs}

        def push(digest: str) -> None:
            blob, path = by_digest[digest]
            self._registry.push_blob(self._ref, blob, _File(path), self._cancel)

        _some_at_once(by_digest, push)
        self._registry.push_blob(self._ref, described(config, CACHE), _Bytes(config), self._cancel)
        self._registry.push_manifest(self._ref, manifest, MANIFEST, self._cancel)


def _some_at_once(names: Iterable[str], make: Callable[[str], _Made]) -> dict[str, _Made]:
    """`make(name)` of every name, a few at a time."""
    left, made = list(names), dict[str, _Made]()
    while left:
        some, left = left[:_AT_ONCE], left[_AT_ONCE:]
        made |= each(some, make)
    return made


class _File:
    """A file as an upload."""

    def __init__(self, path: str) -> None:
        self._path = path

    def pieces(self) -> Iterator[bytes]:
        with open(self._path, "rb", buffering=0) as file:
            while piece := file.read(1 << 20):
                yield piece


class _Bytes:
    """A document as an upload."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def pieces(self) -> Iterator[bytes]:
        yield self._data
