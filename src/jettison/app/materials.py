"""Layers as directories: a base's layers are fetched and unpacked when something first needs them, never before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec

from jettison.app.images import known_blob
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.base.errors import InputError, JettisonError, NetworkError
from jettison.oci.documents import Descriptor
from jettison.record.model import StepProgress
from jettison.solve.ports import Emit
from jettison.store.blobs import Ingest
from jettison.store.layers import BlobFact

if TYPE_CHECKING:
    from jettison.registry.source import OnProgress, Sink
    from jettison.sandbox.spec import UnpackRequest

    Through = Callable[[Ingest], Sink]  # what the bytes of a blob go through on their way into the store

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
MAX_FETCHES = 6  # at once, as podman has it; docker's is 3 a pull
AT_ONCE = 4  # things of a kind that are made at once, each by a process of the keeper's
LAYERS_AT_ONCE = 8  # some come in while others, which have, are still being unpacked
PROGRESS_BYTES = 1 << 20  # between two words of a download


def _kept_alone(kept: Ingest) -> Sink:
    return kept


class _Wanted(msgspec.Struct, frozen=True):
    """A layer that is to be unpacked, with files or without. `below_is_there`: as `rising.Rising` has it, or -1."""

    layer: str
    step: str
    files: bool = True
    below: tuple[str, ...] = ()
    below_is_there: int = -1

    @property
    def fds(self) -> tuple[int, ...]:
        """What goes along with the request."""
        return (self.below_is_there,) if self.below else ()

    def request(self, out: str, *, sync: bool) -> UnpackRequest:
        """What the keeper is asked, but for the blob."""
        from jettison.sandbox.spec import UnpackRequest

        return UnpackRequest(diff_id=self.layer, out=out, files=self.files, below=self.below, sync=sync)


class Materials:
    """Finds, fetches and unpacks. Safe from several threads: each layer and blob is made once."""

    def __init__(self, session: Session, emit: Emit) -> None:
        self._session = session
        self._store = session.store
        self._emit = emit
        self._fetches = threading.Semaphore(MAX_FETCHES)
        self._lost: dict[str, JettisonError] = {}

    def directories(self, layers: tuple[str, ...], *, files: bool = True, step: str = "") -> tuple[str, ...]:
        """The snapshot directories of a stack, bottom first. `files` False: rows without bytes are enough.

        `step` is the one whose progress this is. Raises InputError, NetworkError, HostError, Cancelled.
        """
        if not files:
            return self._rows(layers, step)
        found = {layer: self._store.snapshots.find(layer) for layer in layers}
        missing = [layer for layer, path in found.items() if path is None]
        places = {layer: path or self._store.snapshots.path(layer) for layer, path in found.items()}
        if missing:
            self._foresee(missing)
            self._build_up(missing, places, step)
        return tuple(places[layer] for layer in layers)

    def _build_up(self, missing: list[str], places: dict[str, str], step: str) -> None:
        """Make the missing layers of a stack at the same time. `places`: where all of it lie or will lie."""
        from jettison.app.rising import Rising

        rising, stack = Rising(missing), list(places)
        with self._locks(missing) as locks:

            def make(layer: str) -> None:
                below = tuple(places[lower] for lower in stack[: stack.index(layer)])
                with locks[layer], rising.making(layer) as below_is_there:
                    self._unpack(_Wanted(layer, step, below=below, below_is_there=below_is_there))

            each(missing, make, at_once=LAYERS_AT_ONCE)

    @contextmanager
    def _locks(self, layers: list[str]) -> Iterator[dict[str, ExitStack]]:
        """Hold the locks of all the layers, each until its own is closed: while one is made, another may be waited for.

        They are taken in an order that everybody has, so that no two who want several wait for each other.
        """
        with ExitStack() as all_of_them:
            locks = {layer: all_of_them.enter_context(ExitStack()) for layer in sorted(layers)}
            for layer, lock in locks.items():
                lock.enter_context(self._lock(layer))
            yield locks

    def _lock(self, layer: str) -> AbstractContextManager[None]:
        return self._store.snapshots.lock(layer, self._session.cancel)

    def _foresee(self, missing: list[str]) -> None:
        if any(map(is_digest, missing)):
            self._session.keeper().foresee_archives()

    def _rows(self, layers: tuple[str, ...], step: str) -> tuple[str, ...]:
        """All at once: who reads rows has the stack's, and finds there what a layer takes for granted."""
        found = {layer: self._store.snapshots.find(layer, files=False) for layer in layers}
        missing = [layer for layer, path in found.items() if path is None]
        self._foresee(missing)

        def make(layer: str) -> str:
            with self._lock(layer):
                return self._unpack(_Wanted(layer, step, files=False))

        made = each(missing, make, at_once=LAYERS_AT_ONCE)
        return tuple(found[layer] or made[layer] for layer in layers)

    def blobs(self, layers: tuple[str, ...], *, step: str = "") -> dict[str, BlobFact]:
        """The blobs of a base's layers, in the store."""
        return each(list(dict.fromkeys(layers)), lambda layer: self._blob(layer, step))

    def prove(self, layers: tuple[str, ...]) -> None:
        """Have what we made proved where a power cut may have harmed it. Raises InputError for what it did harm."""
        for layer in layers:
            if not is_digest(layer) and self._store.snapshots.doubted(layer) is not None:
                self.directories((layer,))

    def _unpack(self, wanted: _Wanted) -> str:
        """Make a layer's directory, or make sure of it, with its lock held."""
        layer, files, snapshots = wanted.layer, wanted.files, self._store.snapshots
        found = snapshots.find(layer, files=files)
        if found is not None:
            return found
        ours = not is_digest(layer)
        doubted = snapshots.doubted(layer, files=files or ours)
        if doubted is not None and ours:
            from jettison.app.proof import proved

            with self._noting_loss(layer):
                return proved(self._session, layer, doubted)
        if doubted is not None:
            self._blob(layer, wanted.step)  # what we have is given up for something surer alone
            snapshots.drop(layer, files=files)
        request = wanted.request(snapshots.aside(layer, files=files), sync=doubted is not None)
        with self._noting_loss(layer):
            if not self._unpack_fetching(request, wanted):
                self._unpack_blob(request, wanted)
        snapshots.keep(layer, files=files, synced=request.sync)
        return snapshots.path(layer, files=files)

    def _unpack_blob(self, request: UnpackRequest, wanted: _Wanted) -> None:
        blob = self._blob(wanted.layer, wanted.step)
        path = self._store.blobs.path(blob.digest)
        request = msgspec.structs.replace(request, blob=path, media_type=blob.media_type)
        self._session.keeper().ask(request, fds=wanted.fds, cancel=self._session.cancel)

    def _unpack_fetching(self, request: UnpackRequest, wanted: _Wanted) -> bool:
        """Unpack a layer while its blob is fetched. False when the blob is here, and the work still to be done."""
        fact = known_blob(self._store, wanted.layer)
        if fact is None or self._store.blobs.has(fact.digest):
            return False
        from jettison.app.streamed import Streamed

        request = msgspec.structs.replace(request, media_type=fact.media_type)
        keeper, cancel = self._session.keeper(), self._session.cancel
        with self._store.blobs.lock(fact.digest, cancel):
            if self._store.blobs.has(fact.digest):
                return False
            with Streamed(lambda *growing: keeper.ask(request, fds=(*growing, *wanted.fds), cancel=cancel)) as streamed:
                self._fetch(fact, wanted.step, streamed.tee)
            return streamed.worked

    def take_lost(self) -> dict[str, JettisonError]:
        """The layers that could not be had since this was last asked, and why not."""
        lost, self._lost = self._lost, {}
        return lost

    @contextmanager
    def _noting_loss(self, layer: str) -> Iterator[None]:
        """Remember a layer that cannot be had: one that a cache promised can be made again."""
        try:
            yield
        except (InputError, NetworkError) as error:
            self._lost[layer] = error
            raise

    def fetch(self, fact: BlobFact) -> None:
        """Have a blob that is no layer's in the store."""
        self._have(fact, "", "")

    def blob(self, diff_id: str, digest: str) -> None:
        """Have just this blob of a base's layer in the store."""
        known = (fact for fact in self._store.layers.blobs_of(diff_id) if fact.digest == digest)
        self._have(next(known, None), diff_id, "")

    def _blob(self, layer: str, step: str) -> BlobFact:
        return self._have(known_blob(self._store, layer), layer, step)

    def _have(self, fact: BlobFact | None, layer: str, step: str) -> BlobFact:
        with self._noting_loss(layer):
            return self._had(fact, layer, step)

    def _had(self, fact: BlobFact | None, layer: str, step: str) -> BlobFact:
        if fact is None:
            raise InputError(f"layer {layer} is not in the store", hint="build or pull its image again: --pull")
        if not self._store.blobs.has(fact.digest):
            with self._store.blobs.lock(fact.digest, self._session.cancel):
                if not self._store.blobs.has(fact.digest):
                    self._fetch(fact, step)
        return fact

    def _fetch(self, fact: BlobFact, step: str, through: Through = _kept_alone) -> None:
        """From the first source that gives it; if none does, what the last one said."""
        failure: JettisonError = NetworkError(f"blob {fact.digest}: nobody is known to have it", hint="try --pull")
        for source in fact.sources:
            try:
                with self._fetches:
                    self._fetch_from(source, fact, through, self._telling(fact, step))
            except (InputError, NetworkError) as error:
                failure = error
            else:
                return
        raise failure

    def _fetch_from(self, source: str, fact: BlobFact, through: Through, progress: OnProgress) -> None:
        descriptor = Descriptor(media_type=fact.media_type, digest=fact.digest, size=fact.size_bytes)
        kind, _, place = source.partition(" ")
        with self._store.blobs.ingest(fact.digest, fact.size_bytes) as kept:
            sink = through(kept)
            if kind == "layout":
                from jettison.registry.layout import open_layout

                layout, name = open_layout(place)
                layout.fetch_blob(name, descriptor, sink, progress, self._session.cancel)
            else:
                self._session.registry().fetch_blob(place, descriptor, sink, progress, self._session.cancel)

    def _telling(self, fact: BlobFact, step: str) -> OnProgress:
        """What tells how far a download is, now and then and at its end."""
        what = f"layer {fact.digest[7:19]}"
        told = 0

        def progress(done: int) -> None:
            nonlocal told
            if done == fact.size_bytes or not told <= done < told + PROGRESS_BYTES:
                told = done
                self._emit(StepProgress(step=step, what=what, done_bytes=done, total_bytes=fact.size_bytes))

        return progress


def each(names: list[K], make: Callable[[K], T], *, at_once: int = AT_ONCE) -> dict[K, T]:
    """`make(name)` of every name, in threads when there are several, begun in order, a few at once. No more are begun
    after an error; when all have ended, it is raised: of several that of the first name.
    """
    if len(names) < 2:
        return {name: make(name) for name in names}
    made: dict[K, T] = {}
    failures: dict[K, BaseException] = {}
    left = iter(names)
    turn = threading.Lock()

    def taken() -> Iterator[K]:
        while not failures:
            with turn:
                some = list(islice(left, 1))
            if not some:
                return
            yield some[0]

    def work() -> None:
        for name in taken():
            try:
                made[name] = make(name)
            except BaseException as error:  # noqa: BLE001 - it is raised below, in the caller's thread
                failures[name] = error

    threads = [threading.Thread(target=work) for _ in names[:at_once]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names if failures else ():
        if name in failures:
            raise failures[name]
    return made
