"""Cache mounts that came with a cache: put in place before the first step that uses one, where there is none yet."""

from __future__ import annotations

import os
import threading

from jettison.app.elsewhere import Elsewhere
from jettison.app.materials import Materials
from jettison.app.session import Session
from jettison.base.errors import Cancelled, JettisonError
from jettison.record.model import Warned
from jettison.sandbox.spec import RestoreDirectoryRequest
from jettison.solve.ports import Emit


class MountRestorer:
    """Restores cache mounts, each once a build. Safe from several threads."""

    def __init__(self, session: Session, materials: Materials, elsewhere: Elsewhere, emit: Emit) -> None:
        self._session = session
        self._store = session.store
        self._materials = materials
        self._elsewhere = elsewhere
        self._emit = emit
        self._lock = threading.Lock()
        self._tried: dict[str, threading.Lock] = {}
        self._done: set[str] = set()

    def __call__(self, cache_id: str) -> None:
        """Have the cache here, if it is not and a cache elsewhere has it. Failing is a warning: caches may be empty.

        To be called before the cache is held: it is held alone while it is put in place.
        """
        with self._lock:
            turn = self._tried.setdefault(cache_id, threading.Lock())
        with turn:
            if cache_id in self._done:
                return
            self._done.add(cache_id)
            try:
                self._restore(cache_id)
            except Cancelled:
                raise
            except JettisonError as error:
                self._emit(Warned(message=f"the cache mount {cache_id} begins empty: {error.message}"))

    def _restore(self, cache_id: str) -> None:
        if os.path.lexists(self._store.caches.first(cache_id)):
            return
        found = self._elsewhere.mount(cache_id)
        if found is None:
            return
        self._materials.fetch(found.fact())
        caches, cancel = self._store.caches, self._session.cancel
        with caches.hold(cache_id, "locked", cancel=cancel) as directory, self._store.scratch() as scratch:
            request = RestoreDirectoryRequest(
                blob=self._store.blobs.path(found.blob.digest),
                directory=directory,
                aside=os.path.join(scratch, "cache"),
            )
            self._session.keeper().ask(request, cancel=cancel)
