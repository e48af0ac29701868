"""A layer that a cache elsewhere promised, and that cannot be had: forgotten, and what needs it is made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from jettison.app.images import Images
from jettison.app.materials import Materials
from jettison.app.session import Session
from jettison.base.errors import InputError, NetworkError
from jettison.record.model import AnyEvent, StepCached, StepFailed, StepFinished, Warned
from jettison.solve.ports import Emit
from jettison.store import results

if TYPE_CHECKING:
    from jettison.app.elsewhere import Elsewhere

_Made = TypeVar("_Made")


class Recovery:
    """Tries a build's work, and tries it again without what got lost. A base's layers are another matter: nobody here
    can make them.
    """

    def __init__(
        self, session: Session, materials: Materials, images: Images, emit: Emit, elsewhere: Elsewhere | None
    ) -> None:
        self._store = session.store
        self._materials = materials
        self._images = images
        self._emit = emit
        self._elsewhere = elsewhere
        self._forgotten: set[str] = set()

    def run(self, attempt: Callable[[Emit], _Made]) -> _Made:
        """What `attempt` gives. It is handed where its events go: of a try that is made up for, no step has failed."""
        told = _Told(self._emit)
        while True:
            try:
                return attempt(told)
            except (InputError, NetworkError):
                if not self._forget():
                    told.failures()
                    raise
                told.again()
            except BaseException:
                told.failures()
                raise

    def _forget(self) -> bool:
        """Forget the layers that got lost; False when none did, or none that a cache had promised."""
        bases = self._images.base_layers() | self._forgotten
        lost = {layer: error for layer, error in self._materials.take_lost().items() if layer and layer not in bases}
        for layer, error in lost.items():
            results.forget_layer(self._store.index, layer)
            self._store.layers.forget_blobs(layer)
            self._emit(Warned(message=f"a cached layer cannot be had, it is built again: {error.message}"))
        self._forgotten.update(lost)
        if self._elsewhere is not None:
            self._elsewhere.lose(lost)
        return bool(lost)


class _Told:
    """An Emit for several tries of one build: failures of steps are kept back, and what an earlier try has told of a
    step is not told again; one that ran was not cached because a later try found what it left.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._failed: list[AnyEvent] = []
        self._hits: set[tuple[str, str]] = set()
        self._ran: set[str] = set()
        self._before: frozenset[str] = frozenset()

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case StepFailed():
                self._failed.append(event)
                return
            case StepCached() if event.step in self._before or (event.step, event.hit) in self._hits:
                return
            case StepCached():
                self._hits.add((event.step, event.hit))
            case StepFinished():
                self._ran.add(event.step)
            case _:
                pass
        self._emit(event)

    def failures(self) -> None:
        """Tell of them after all."""
        for event in self._failed:
            self._emit(event)

    def again(self) -> None:
        """Another try begins: its failures count."""
        self._failed.clear()
        self._before = frozenset(self._ran)
