"""The solver's Inputs: what steps read, as digests. Local contexts here in the driver, layer stacks in the keeper."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison.app.contexts import Local
from jettison.app.images import Images
from jettison.app.session import Session
from jettison.app.stamps import StampIndex
from jettison.base.errors import InternalError, JettisonError
from jettison.base.span import Source
from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.record.model import KeyPart
from jettison.sandbox.readable import Directory
from jettison.solve.ports import Result

if TYPE_CHECKING:
    from jettison.app.bind import Binder
    from jettison.app.secrets import Secrets
    from jettison.sandbox.spec import AnyRequest, Read, TookFile
    from jettison.tree.view import View


class Inputs:
    """The solver's port of that name (`solve.ports.Inputs`)."""

    def __init__(
        self,
        session: Session,
        images: Images,
        directories: dict[str, Local],
        ignores: dict[str, Source],
        *,
        secrets: Secrets,
        binder: Callable[[], Binder],
    ) -> None:
        """`directories` are the local contexts by step id, `ignores` the ignore files of those that have one. `binder`
        gives what finds layer stacks, when one is first to be read.
        """
        self._session = session
        self._images = images
        self._secrets = secrets
        self._binder = binder
        self._directories = directories
        self._ignores = ignores
        self._stamps: dict[str, StampIndex] = {}
        self._told: dict[tuple[str, int], Read] = {}
        self._since_ns: dict[tuple[str, int], int] = {}
        self._stacks: set[tuple[str, int]] = set()  # those of which the digest was asked for
        self._lock = threading.Lock()

    def identity(self, op: ops.AnyOp) -> str:
        """A source's identity without its bytes."""
        if isinstance(op, ops.ImageOp):
            return op.digest
        if isinstance(op, (ops.HttpOp, ops.GitOp)):
            from jettison.app.remote import identity

            return identity(op, self._session, self._secrets)
        return ""

    def local_digest(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]]:
        """What a step reads of a local context."""
        from jettison.tree.content import input_digest

        self._since_ns[step.id, index] = time.time_ns()
        view, stamps = self._local(self._directories[step.inputs[index]])
        with self._placing(step, index, view):
            found = input_digest(step.op, index, view, stamps)
        return found.digest, found.parts

    def is_told(self, step: Step, index: int) -> bool:
        """Whether a copy can tell what it took of that input: of a directory, with nothing to unpack."""
        local = self._directories[step.inputs[index]]
        if not isinstance(local, Directory) or not isinstance(step.op, ops.CopyOp):
            return False
        from jettison.tree.recorded import is_copied

        view, _ = self._local(local)
        self._since_ns[step.id, index] = 0
        with self._placing(step, index, view):
            return is_copied(step.op, index, view)

    def taken(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]] | None:
        """What a copy took of a directory, where it told."""
        told = self._told.pop((step.id, index), None)
        return None if told is None else (told.digest, told.parts)

    def since_ns(self, step: Step, index: int) -> int | None:
        """Since when that input is known (0: it never was), None if nobody asks: of a directory because nobody did yet,
        of a layer stack because somebody has, and it never changes.
        """
        if step.inputs[index] in self._directories:
            return self._since_ns.get((step.id, index))
        return None if (step.id, index) in self._stacks else 0

    def took(self, step: Step, index: int, files: tuple[TookFile, ...]) -> None:
        """Remember the digests of files that a copy took of a directory."""
        local = self._directories[step.inputs[index]]
        if isinstance(local, Directory):
            stamps = self._index(local)
            for file in files:
                stamps.put(file.path, file.stamp, file.digest)

    def read(self, step: Step, index: int, read: Read) -> None:
        """What a copy took: the next thing to be asked (`taken`)."""
        self._told[step.id, index] = read

    @contextmanager
    def _placing(self, step: Step, index: int, view: View) -> Iterator[None]:
        """What is wrong with a context is wrong with the step that reads it."""
        try:
            yield
        except JettisonError as error:
            from jettison.app.place import placed, with_rule

            raise placed(with_rule(error, view, self._ignores.get(step.inputs[index])), step) from None

    def stack_digest(self, step: Step, index: int, layers: tuple[str, ...]) -> str:
        """What a step reads of a layer stack, or, where it told, just read."""
        self._stacks.add((step.id, index))
        told = self._told.pop((step.id, index), None)
        if told is not None:
            return told.digest
        from jettison.sandbox.spec import DigestRequest

        tree = self._binder().tree(Result(id="", layers=layers), step=step.id)
        try:
            return self._digest(DigestRequest(op=step.op, input=index, of=tree))
        except JettisonError as error:
            from jettison.app.place import placed

            raise placed(error, step) from None

    def layer_digest(self, layer: str) -> str:
        """A whole layer's content digest, remembered with it."""
        known = self._session.store.layers.get(layer)
        if known is not None and known.content_digest:
            return known.content_digest
        from jettison.sandbox.spec import SnapshotDigestRequest

        digest = self._digest(SnapshotDigestRequest(snapshot=self._session.store.snapshot_path(layer)))
        self._session.store.layers.learn(layer, content_digest=digest)
        return digest

    def save(self) -> None:
        """Keep what was learnt of the contexts' files for the next build."""
        for index in self._stamps.values():
            index.save()

    def _digest(self, request: AnyRequest) -> str:
        from jettison.sandbox.spec import Digested

        reply = self._session.keeper().ask(request, cancel=self._session.cancel)
        if not isinstance(reply, Digested):
            raise InternalError(f"the keeper answered {type(reply).__name__}")
        return reply.digest

    def _local(self, local: Local) -> tuple[View, StampIndex | None]:
        from jettison.tree.view import ArchiveView, DirectoryView

        if isinstance(local, Directory):
            return DirectoryView(local.root, local.ignore), self._index(local)
        return ArchiveView((local.snapshot,)), None

    def _index(self, directory: Directory) -> StampIndex:
        with self._lock:
            if directory.root not in self._stamps:
                self._stamps[directory.root] = StampIndex(self._session.store.stamps, directory.root)
            return self._stamps[directory.root]
