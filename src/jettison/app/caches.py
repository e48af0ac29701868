"""A build's caches in one place: the store's own, those elsewhere that it reads, and those that it writes."""

from __future__ import annotations

from collections.abc import Callable

from jettison.app.cache import StoreCache
from jettison.app.finish import Solved
from jettison.app.images import Images
from jettison.app.materials import Materials
from jettison.app.options import platforms
from jettison.app.recovery import Recovery
from jettison.app.request import BuildRequest
from jettison.app.session import Session
from jettison.base.errors import UsageError
from jettison.solve.ports import Emit

SOURCES, TARGETS, MODES = ("registry", "local"), ("registry", "local", "inline"), ("min", "max")


def check_caches(request: BuildRequest) -> None:
    """Refuse before anything is built what can be neither read nor written. Raises UsageError."""
    for source in request.cache_from:
        if source.type not in SOURCES or not (source.ref if source.type == "registry" else source.src):
            raise UsageError(f"cache_from: type {source.type!r} with a ref or src is not understood")
    for target in request.cache_to:
        place = {"registry": target.ref, "local": target.dest, "inline": "the image"}.get(target.type)
        if not place or target.mode not in MODES:
            raise UsageError(f"cache_to: type {target.type!r}, mode {target.mode!r} is not understood")


class Caches:
    """What a build finds results in and writes them to. Without any cache elsewhere it costs nothing."""

    def __init__(
        self,
        request: BuildRequest,
        session: Session,
        materials: Materials,
        images: Images,
        emit: Emit,
        *,
        scope: str,
    ) -> None:
        """`scope` is that of the build's places (`solve.run.solve`)."""
        self._request = request
        self._session = session
        self._materials = materials
        self._images = images
        self._emit = emit
        self.results = StoreCache(session.store)
        self.restore_mount: Callable[[str], None] | None = None
        self._elsewhere = None
        if request.cache_from:
            from jettison.app.cachemounts import MountRestorer
            from jettison.app.elsewhere import Elsewhere, SharedCache

            self._elsewhere = Elsewhere(request.cache_from, session, images, emit, platforms(request))
            self.results = SharedCache(session, self._elsewhere, scope)
            self.restore_mount = MountRestorer(session, materials, self._elsewhere, emit)
        self.recovery = Recovery(session, materials, images, emit, self._elsewhere)

    def write(self, solved: Solved) -> None:
        """Write the caches that were asked for. Inline ones are in the images already."""
        targets = [target for target in self._request.cache_to if target.type != "inline"]
        if not targets:
            return
        from jettison.app.cachewrite import CacheWriter

        writer = CacheWriter(self._session, self._materials, self._images, self._emit, self._elsewhere)
        for target in targets:
            writer.write(target, solved)
