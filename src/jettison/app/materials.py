"""Layers as directories: a base's layers are fetched and unpacked when something first needs them, never before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from jettison.app.images import known_blob
from jettison.app.proof import proved
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.base.errors import InputError, JettisonError, NetworkError
from jettison.oci.documents import Descriptor
from jettison.record.model import StepProgress
from jettison.solve.ports import Emit
from jettison.store.layers import BlobFact

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
MAX_FETCHES = 4  # at once; docker's is 3 a pull


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
        found = {layer: self._store.snapshots.find(layer, files=files) for layer in layers}
        missing = [layer for layer, path in found.items() if path is None and is_digest(layer)]
        paths: list[str] = []
        with self._ahead(missing, step):
            for layer in layers:  # in order: a layer may take directories for granted that one below it has
                paths.append(found[layer] or self._unpack(layer, tuple(paths), files, step))
        return tuple(paths)

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
                with self._noting_loss(layer):
                    return proved(self._session, layer, doubted)
            blob = self._blob(layer, step)
            if doubted is not None:
                self._store.snapshots.drop(layer, files=files)
            from jettison.sandbox.spec import UnpackRequest

            request = UnpackRequest(
                blob=self._store.blobs.path(blob.digest),
                media_type=blob.media_type,
                diff_id=layer,
                out=self._store.snapshots.aside(layer, files=files),
                files=files,
                below=below,
                sync=doubted is not None,
            )
            with self._noting_loss(layer):
                self._session.keeper().ask(request, cancel=self._session.cancel)
            self._store.snapshots.keep(layer, files=files, synced=request.sync)
            return self._store.snapshots.path(layer, files=files)

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

    def _fetch(self, fact: BlobFact, step: str) -> None:
        """From the first source that gives it; if none does, what the last one said."""
        failure: JettisonError = NetworkError(f"blob {fact.digest}: nobody is known to have it", hint="try --pull")
        for source in fact.sources:
            try:
                with self._fetches:
                    self._fetch_from(source, fact, step)
            except (InputError, NetworkError) as error:
                failure = error
            else:
                return
        raise failure

    def _fetch_from(self, source: str, fact: BlobFact, step: str) -> None:
        descriptor = Descriptor(media_type=fact.media_type, digest=fact.digest, size=fact.size_bytes)
        what = f"layer {fact.digest[7:19]}"

        def progress(done: int) -> None:
            self._emit(StepProgress(step=step, what=what, done_bytes=done, total_bytes=fact.size_bytes))

        kind, _, place = source.partition(" ")
        with self._store.blobs.ingest(fact.digest, fact.size_bytes) as sink:
            if kind == "layout":
                from jettison.registry.layout import open_layout

                layout, name = open_layout(place)
                layout.fetch_blob(name, descriptor, sink, progress, self._session.cancel)
            else:
                self._session.registry().fetch_blob(place, descriptor, sink, progress, self._session.cancel)


def each(names: list[K], make: Callable[[K], T]) -> dict[K, T]:
    """`make(name)` of every name, in threads when there are several. The first error is raised, when all have ended."""
    if len(names) < 2:
        return {name: make(name) for name in names}
    made: dict[K, T] = {}
    failures: list[BaseException] = []

    def work(name: K) -> None:
        try:
            made[name] = make(name)
        except BaseException as error:  # noqa: BLE001 - it is raised below, in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return made
