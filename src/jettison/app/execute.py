"""The solver's Executor: a step and its inputs' results become one request to the keeper, and what it left a layer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from typing import Protocol

import msgspec

from jettison.app.bind import Binder
from jettison.app.images import Images
from jettison.app.needs import looks_up_names, stands_alone
from jettison.app.packing import Packing, adopt, learn, pressing
from jettison.app.session import Session
from jettison.base.errors import MAKE_ROOM, InternalError, JettisonError, StepError
from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.record.model import StepOutput, Warned
from jettison.sandbox import spec
from jettison.solve.key import op_digest, op_parts
from jettison.solve.ports import Cancel, Emit, Result
from jettison.store import results

TAIL_LINES = 20
Inputs = tuple[Result | None, ...]
OnFrame = Callable[[spec.AnyFrame], None]


class Told(Protocol):
    """Who wants to know what a copy took of its input number `index`."""

    def since_ns(self, step: Step, index: int) -> int | None:
        """Only if some of it may have changed since then; None: not at all."""

    def took(self, step: Step, index: int, files: tuple[spec.TookFile, ...]) -> None:
        """Some of the files, where it is a local context."""

    def read(self, step: Step, index: int, read: spec.Read) -> None:
        """All that it took."""


class Executor:
    """Runs steps in the keeper; the solver's port of that name (`solve.ports.Executor`).

    `needs`: the bases that are surely read once they are asked for, as `needs_of` has them. They are fetched in their
    own step, while others run; all other bases when something first needs them. `packings`: how layers will be wanted,
    by step id (`packing.foreseen`); they are packed while they are made. `told` hears what steps took.
    """

    def __init__(
        self,
        session: Session,
        images: Images,
        binder: Binder,
        epoch: int | None,
        needs: Mapping[str, bool],
        *,
        packings: Mapping[str, Packing],
        told: Told,
    ) -> None:
        self._session = session
        self._images = images
        self._binder = binder
        self._epoch = epoch
        self._needs = needs
        self._packings = packings
        self._told = told

    def prepare(self) -> None:
        """Start the keeper, while there is one thread: it may then be a copy of this process."""
        self._session.keeper()

    def execute(self, step: Step, inputs: Inputs, emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        """Run the step; the layers that it added. See `solve.ports.Executor.execute`."""
        try:
            return self._execute(step, inputs, emit, cancel)
        except JettisonError as error:
            from jettison.app.place import placed

            raise placed(error, step) from None

    def discard(self, layers: tuple[str, ...]) -> None:
        """Give up layers that will not be used."""
        for layer in layers:
            dropped = self._session.store.snapshots.drop(layer)
            if dropped is not None:
                self._session.remove_soon(dropped)

    def _execute(self, step: Step, inputs: Inputs, emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        match step.op:
            case ops.ScratchOp():
                return ()
            case ops.ImageOp():
                return self._base(step, step.op)
            case ops.HttpOp() | ops.GitOp():
                return self._fetch(step.op, cancel)
            case ops.CopyOp() | ops.MkdirOp():
                return self._copy(step, step.op, inputs, cancel)
            case ops.RunOp():
                return self._run(step, step.op, inputs, emit, cancel)
            case _:
                raise InternalError(f"step {step.id} cannot be executed")

    def _base(self, step: Step, op: ops.ImageOp) -> tuple[str, ...]:
        """A base that this store builds on for the first time: nothing that stands on it can be cached."""
        layers = self._images.base(op.digest).layers
        files = self._needs.get(op.digest)
        if files is not None:
            self._binder.stack(layers, files=files, step=step.id)
        return layers

    def _copy(self, step: Step, op: ops.AnyOp, inputs: Inputs, cancel: Cancel) -> tuple[str, ...]:
        readables = tuple(self._binder.readable(step, index, inputs) for index in range(1, len(inputs)))
        tree = self._destination(step, op, inputs)
        local = [index for index, each in enumerate(readables, 1) if isinstance(each, spec.Directory)]
        earlier = self._earlier(op) if local else None
        wanted = local or [index for index, each in enumerate(readables, 1) if isinstance(each, spec.Tree)]
        tell = wanted[0] if len(wanted) == 1 else None
        since_ns = None if tell is None else self._told.since_ns(step, tell)

        def request(out: str) -> spec.CopyRequest:
            return spec.CopyRequest(
                op=op,
                tree=tree,
                inputs=readables,
                out=out,
                epoch=self._epoch,
                earlier=earlier,
                tell=None if since_ns is None else tell,
                since_ns=since_ns or 0,
            )

        def on_frame(frame: spec.AnyFrame) -> None:
            if isinstance(frame, spec.Took) and tell is not None:
                self._told.took(step, tell, frame.files)

        def on_copied(copied: spec.Copied) -> None:
            if copied.read is not None and tell is not None:
                self._told.read(step, tell, copied.read)

        return self._commit(request, cancel, on_frame, on_copied=on_copied, packing=self._packings.get(step.id))

    def _destination(self, step: Step, op: ops.AnyOp, inputs: Inputs) -> spec.Tree:
        """What a copy looks up where it writes to."""
        if stands_alone(op):
            return spec.Tree(())
        return self._binder.tree(inputs[0], files=looks_up_names(op), step=step.id)

    def _earlier(self, op: ops.AnyOp) -> tuple[str, ...]:
        """The snapshots that earlier copies like this one left, of whatever context."""
        store = self._session.store
        layers = results.layers_of(store.index, op_digest(op_parts(op)), results.KEPT_OF_AN_OP)
        found = (store.snapshots.find(layer) for layer in layers)
        return tuple(path for path in found if path is not None)

    def _fetch(self, op: ops.HttpOp | ops.GitOp, cancel: Cancel) -> tuple[str, ...]:
        """A fetched file or checkout as a layer: everything below a scratch directory, owned by 0:0."""
        from jettison.app.remote import fetch

        with self._session.store.scratch() as directory:
            fetch(op, directory, self._session, self._binder.secrets, cancel)
            everything = ops.CopyOp(sources=(ops.CopySource(1, "/"),), dest="/", dest_is_dir=True)
            copied = spec.Directory(directory)

            def request(out: str) -> spec.CopyRequest:
                return spec.CopyRequest(op=everything, tree=spec.Tree(()), inputs=(copied,), out=out, epoch=self._epoch)

            return self._commit(request, cancel)

    def _run(self, step: Step, op: ops.RunOp, inputs: Inputs, emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        tree = self._binder.tree(inputs[0], step=step.id)
        with ExitStack() as held:
            bound = self._binder.bound(step, op, inputs, held, cancel)
            scratch = held.enter_context(self._session.store.scratch())
            return self._commit(
                lambda out: run_request(op, tree, bound, out, scratch),
                cancel,
                _shown(step, emit, tail),
                lambda code: self._failed(op, code, tuple(tail)),
                packing=self._packings.get(step.id),
            )

    def _failed(self, op: ops.RunOp, code: int, tail: tuple[str, ...]) -> StepError:
        """Reference §1.8: the error names the command and its exit code."""
        from jettison.planning.history import go_quoted

        message = f"process {go_quoted(' '.join(op.args))} did not complete successfully: exit code: {code}"
        hint = _why(op, code, tail)
        return StepError(message, hint=hint, process_exit_code=code, tail=self._binder.masked(tail))

    def _commit(
        self,
        make: Callable[[str], spec.RunRequest | spec.CopyRequest],
        cancel: Cancel,
        on_frame: OnFrame | None = None,
        failed: Callable[[int], StepError] | None = None,
        *,
        on_copied: Callable[[spec.Copied], None] | None = None,
        packing: Packing | None = None,
    ) -> tuple[str, ...]:
        """Ask for a new snapshot, packed as `packing` says; the layer, or () when nothing changed."""
        store = self._session.store
        layer, path = store.new_snapshot()
        with store.scratch() if packing is not None and packing.compression else nullcontext("") as blobs:
            how = pressing(packing, blobs) if packing is not None else None
            request = msgspec.structs.replace(make(path), pressing=how)
            reply = self._session.keeper().ask(request, on_frame, cancel=cancel)
            if isinstance(reply, spec.Copied) and on_copied is not None:
                on_copied(reply)
            match reply:
                case spec.Ran(exit_code=0) | spec.Copied():
                    if not reply.changed:
                        return ()
                    store.keep_snapshot(layer)
                    packed = reply.packed if packing is not None else None
                    adopt(store, blobs, () if packed is None else (packed,))
                    with store.index.write():  # from now on it has a time of making, too
                        store.layers.learn(layer, content_digest=reply.digest)
                        if packing is not None and packed is not None:
                            learn(store, layer, packed, packing)
                    return (layer,)
                case spec.Ran() if failed is not None:
                    raise failed(reply.exit_code)
                case _:
                    raise InternalError(f"the keeper answered {type(reply).__name__}")


def _why(op: ops.RunOp, code: int, tail: tuple[str, ...]) -> str | None:
    """What is behind the failures that say least of themselves."""
    if code == 127 and any(line.startswith(f'exec: "{op.args[0]}"') for line in tail[-1:]):
        return f"the image has no {op.args[0]}: copy one in, or begin FROM an image that has it"
    if code == 128 + 9:
        return "it was killed: perhaps the machine ran out of memory (the kernel's log tells)"
    if any("No space left on device" in line for line in tail):
        return f"the store's disk is full: {MAKE_ROOM}"
    return None


def _shown(step: Step, emit: Emit, tail: deque[str]) -> OnFrame:
    """Frames of a running step as events; the last lines of output are kept in `tail`."""

    def on_frame(frame: spec.AnyFrame) -> None:
        if isinstance(frame, spec.Note):
            emit(Warned(message=frame.text, place=str(step.location or "")))
        if not isinstance(frame, spec.Output):
            return
        text = frame.data.decode("utf-8", "replace").rstrip("\n").rstrip("\r")
        tail.append(text)
        emit(StepOutput(step=step.id, stream=frame.stream, text=text))

    return on_frame


def run_request(
    op: ops.RunOp,
    tree: spec.Tree,
    bound: tuple[tuple[spec.AnyBound, ...], tuple[tuple[str, str], ...]],
    out: str,
    scratch: str,
) -> spec.RunRequest:
    """A RunOp with its mounts bound to this machine, as the keeper is asked for it."""
    mounts, secret_env = bound
    return spec.RunRequest(
        tree=tree,
        out=out,
        scratch=scratch,
        args=op.args,
        env=(*op.run_only.proxy_env, *op.env, *secret_env),
        cwd=op.cwd,
        user=op.user,
        mounts=mounts,
        files=op.files,
        network=op.network,
        security=op.security,
        hostname=op.hostname,
        shm_size_bytes=op.shm_size_bytes,
        extra_hosts=op.extra_hosts,
    )
