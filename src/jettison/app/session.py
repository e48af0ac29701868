"""What one command holds open: the store, and, only when something needs them, the keeper and the registry client."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jettison.base.errors import HostError, InternalError, JettisonError
from jettison.planning.ops import GitOp
from jettison.store.store import Store

if TYPE_CHECKING:
    from jettison.registry.client import Registry
    from jettison.sandbox.client import Keeper
    from jettison.solve.ports import Cancel


class Session:
    """Opened once a command, closed with it: the keeper, and everything that it runs, ends then."""

    def __init__(self, store: Store, *, isolation: str | None = None, cancel: Cancel | None = None) -> None:
        self.store = store
        self.cancel = cancel
        self.commits: dict[GitOp, str] = {}  # what refs meant when this session first asked
        self._isolation = isolation
        self._keeper: Keeper | None = None
        self._ending: list[Keeper] = []
        self._tier = ""
        self._registry: Registry | None = None
        self._lock = threading.Lock()
        self._removing: list[threading.Thread] = []

    @classmethod
    def open(cls, home: str | None = None, *, isolation: str | None = None, cancel: Cancel | None = None) -> Self:
        """Open the store at `home` (None: the user's own). Raises HostError."""
        return cls(Store.open(home), isolation=isolation, cancel=cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dismiss()
        try:
            self.store.close()
        finally:
            for keeper in self._ending:
                keeper.close()

    def rest(self) -> None:
        """Nothing is left for the keeper to do, most likely: it ends while we go on. If one is asked for all the same,
        that is a new one. Not while others use it.
        """
        self._tier = self.tier()
        self._dismiss()

    def _dismiss(self) -> None:
        with self._lock:
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._ending.append(keeper)
            self._sweep(keeper)
            keeper.dismiss()

    def _sweep(self, keeper: Keeper) -> None:
        """Have what dead builds left removed, and what this one began: the keeper may remove what others own."""
        for thread in self._removing:
            thread.join()
        rubbish = self.store.rubbish()
        if rubbish:
            self._remove(keeper, rubbish)

    def remove_soon(self, path: str) -> None:
        """Have the keeper remove a directory of ours that nobody needs, while the build goes on."""
        thread = threading.Thread(target=self._remove, args=(self.keeper(), (path,)), name="jettison removes")
        thread.start()
        self._removing.append(thread)

    def _remove(self, keeper: Keeper, paths: tuple[str, ...]) -> None:
        from jettison.sandbox.spec import RemoveRequest

        try:
            keeper.ask(RemoveRequest(paths=paths))
        except JettisonError:
            return  # what is left is rubbish: removed when the session ends, or by the next build

    def keeper(self) -> Keeper:
        """The keeper, started when first asked for. Raises HostError where no isolation tier works."""
        with self._lock:
            if self._keeper is None:
                self._keeper = self._started()
            return self._keeper

    def _started(self) -> Keeper:
        """A keeper. It is the first thing that there is, since it takes longest: the rest is imported beside it."""
        if self._isolation is not None:
            from jettison.sandbox.client import check_isolation

            check_isolation(self._isolation)
        from jettison.sandbox import birth

        pid, control = birth.begin(self.store.root, self._isolation)
        from jettison.app import bound
        from jettison.sandbox.client import Keeper

        keeper = Keeper(pid, control, self.store.root)
        bound.begin(self.store)
        return keeper

    def foresee_layers(self) -> None:
        """Have the keeper, where one was started, get ready to unpack: an image has layers that are not here yet."""
        with self._lock:
            keeper = self._keeper
        if keeper is not None:
            keeper.foresee_archives()

    def remove(self, paths: tuple[str, ...]) -> None:
        """Remove paths of the store, whatever owns them. Raises HostError, Cancelled."""
        from jettison.sandbox.spec import RemoveRequest

        self.keeper().ask(RemoveRequest(paths=paths), cancel=self.cancel)

    def sizes(self, paths: tuple[str, ...]) -> tuple[int, ...]:
        """The bytes on disk below each path. Raises HostError, Cancelled."""
        from jettison.sandbox.spec import Done, SizeRequest

        reply = self.keeper().ask(SizeRequest(paths=paths), cancel=self.cancel)
        if not isinstance(reply, Done):
            raise InternalError(f"the keeper answered {type(reply).__name__}")
        return reply.sizes

    def tier(self) -> str:
        """The name of the tier in use, "" while no keeper was needed, or where none works and nobody asked for one."""
        try:
            return self._keeper.tier.name if self._keeper is not None else self._tier
        except HostError:
            return ""

    def registry(self) -> Registry:
        """The registry client, made when first asked for; urllib3 is imported by its first request."""
        with self._lock:
            if self._registry is None:
                from jettison.registry.client import Registry

                self._registry = Registry()
            return self._registry
