"""Layers as directories: a base's layers are fetched and unpacked when something first needs them, never before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
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
MAX_FETCHES = 4  # at once; docker's is 3 a pull
AT_ONCE = 4  # things of a kind that are made at once, each by a process of the keeper's
PROGRESS_BYTES = 1 << 20  # between two words of a download


def _kept_alone(kept: Ingest) -> Sink:
    return kept


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
        missing = [layer for layer, path in found.items() if path is None and is_digest(layer)]
        if missing:
            self._session.keeper().foresee_archives()
        paths: list[str] = []
        with self._ahead(missing, step):
            for layer in layers:  # in order: a layer may take directories for granted that one below it has
                paths.append(found[layer] or self._unpack(layer, tuple(paths), files, step))
        return tuple(paths)

    def _rows(self, layers: tuple[str, ...], step: str) -> tuple[str, ...]:
        """All at once: who reads rows has the stack's, and finds there what a layer takes for granted."""
        found = {layer: self._store.snapshots.find(layer, files=False) for layer in layers}
        missing = [layer for layer, path in found.items() if path is None]
        if missing:
            self._session.keeper().foresee_archives()
        made = each(missing, lambda layer: self._unpack(layer, (), False, step))
        return tuple(found[layer] or made[layer] for layer in layers)

    @contextmanager
    def _ahead(self, layers: list[str], step: str) -> Iterator[None]:
        """Fetch the blobs of several layers at once while the first ones are unpacked already."""
        threads = [threading.Thread(target=self._try_blob, args=(layer, step)) for layer in layers[1:]]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for thread in threads:
                thread.join()

    def _try_blob(self, layer: str, step: str) -> None:
        try:
            self._blob(layer, step)
        except JettisonError:
            pass  # whoever unpacks the layer asks for its blob again, and is told

    def blobs(self, layers: tuple[str, ...], *, step: str = "") -> dict[str, BlobFact]:
        """The blobs of a base's layers, in the store."""
        return each(list(dict.fromkeys(layers)), lambda layer: self._blob(layer, step))

    def prove(self, layers: tuple[str, ...]) -> None:
        """Have what we made proved where a power cut may have harmed it. Raises InputError for what it did harm."""
        for layer in layers:
            if not is_digest(layer) and self._store.snapshots.doubted(layer) is not None:
                self.directories((layer,))

    def _unpack(self, layer: str, below: tuple[str, ...], files: bool, step: str) -> str:
        """Make a layer's directory, or make sure of it."""
        with self._store.snapshots.lock(layer, self._session.cancel):
            found = self._store.snapshots.find(layer, files=files)
            if found is not None:
                return found
            ours = not is_digest(layer)
            doubted = self._store.snapshots.doubted(layer, files=files or ours)
            if doubted is not None and ours:
                from jettison.app.proof import proved

                with self._noting_loss(layer):
                    return proved(self._session, layer, doubted)
            if doubted is not None:
                self._blob(layer, step)  # what we have is given up for something surer alone
                self._store.snapshots.drop(layer, files=files)
            from jettison.sandbox.spec import UnpackRequest

            request = UnpackRequest(
                diff_id=layer,
                out=self._store.snapshots.aside(layer, files=files),
                files=files,
                below=below,
                sync=doubted is not None,
            )
            with self._noting_loss(layer):
                if not self._unpack_fetching(request, step):
                    self._unpack_blob(request, self._blob(layer, step))
            self._store.snapshots.keep(layer, files=files, synced=request.sync)
            return self._store.snapshots.path(layer, files=files)

    def _unpack_blob(self, request: UnpackRequest, blob: BlobFact) -> None:
        path = self._store.blobs.path(blob.digest)
        request = msgspec.structs.replace(request, blob=path, media_type=blob.media_type)
        self._session.keeper().ask(request, cancel=self._session.cancel)

    def _unpack_fetching(self, request: UnpackRequest, step: str) -> bool:
        """Unpack a layer while its blob is fetched. False when the blob is here, and the work still to be done."""
        fact = known_blob(self._store, request.diff_id)
        if fact is None or self._store.blobs.has(fact.digest):
            return False
        from jettison.app.streamed import Streamed

        request = msgspec.structs.replace(request, media_type=fact.media_type)
        keeper, cancel = self._session.keeper(), self._session.cancel
        with self._store.blobs.lock(fact.digest, cancel):
            if self._store.blobs.has(fact.digest):
                return False
            with Streamed(lambda *growing: keeper.ask(request, fds=growing, cancel=cancel)) as streamed:
                self._fetch(fact, step, streamed.tee)
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


def each(names: list[K], make: Callable[[K], T]) -> dict[K, T]:
    """`make(name)` of every name, in threads when there are several, a few at once. The first error is raised when all
    that were begun have ended; no more are begun after it.
    """
    if len(names) < 2:
        return {name: make(name) for name in names}
    made: dict[K, T] = {}
    failures: list[BaseException] = []
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
        try:
            for name in taken():
                made[name] = make(name)
        except BaseException as error:  # noqa: BLE001 - it is raised below, in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in names[:AT_ONCE]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return made
