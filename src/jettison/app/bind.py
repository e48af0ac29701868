"""What a step reads, bound to this machine: results to snapshot directories, mounts to caches, secrets and sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from jettison.app.contexts import Local
from jettison.app.emit import mask
from jettison.app.materials import Materials
from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.base.errors import InputError, InternalError
from jettison.planning import ops
from jettison.planning.graph import Step
from jettison.sandbox import spec
from jettison.solve.ports import Cancel, Result

Bound = tuple[tuple[spec.AnyBound, ...], tuple[tuple[str, str], ...]]


_STRICTEST = ("locked", "private", "shared")


class Binder:
    """Turns a step's inputs and mounts into what the keeper understands.

    `directories` are the local contexts by step id. `restore` is called with the id of a cache mount before it is held:
    a cache elsewhere may have what it is to begin with.
    """

    def __init__(
        self,
        session: Session,
        materials: Materials,
        secrets: Secrets,
        directories: dict[str, Local],
        restore: Callable[[str], None] | None = None,
    ) -> None:
        self._session = session
        self._restore = restore
        self._materials = materials
        self._directories = directories
        self.secrets = secrets
        self._emptied: set[str] = set()
        self._lock = threading.Lock()

    def tree(self, result: Result | None, *, files: bool = True, step: str = "") -> spec.Tree:
        """A result's layer stack. `files` False: the rows are enough (a COPY only looks its destination up).

        `step` is the one whose progress a download is.
        """
        if result is None:
            raise InternalError("a local context is not a tree")
        return self.stack(result.layers, files=files, step=step)

    def stack(self, layers: tuple[str, ...], *, files: bool = True, step: str = "") -> spec.Tree:
        """A layer stack, fetched and unpacked where it is not. See `tree`."""
        return spec.Tree(self._materials.directories(layers, files=files, step=step))

    def readable(self, step: Step, index: int, inputs: tuple[Result | None, ...]) -> spec.Readable:
        """Input number `index` of a step."""
        local = self._directories.get(step.inputs[index])
        return local if local is not None else self.tree(inputs[index], step=step.id)

    def masked(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Lines of output without the secrets' values."""
        hidden = self.secrets.masked()
        return tuple(mask(line, hidden) for line in lines)

    def bound(
        self, step: Step, op: ops.RunOp, inputs: tuple[Result | None, ...], held: ExitStack, cancel: Cancel
    ) -> Bound:
        """A RUN's mounts and the variables that secrets give. Locks of caches are held by `held`."""
        caches = self._caches(op, held, cancel)
        mounts: list[spec.AnyBound] = []
        env: list[tuple[str, str]] = []
        for mount in op.mounts:
            match mount:
                case ops.BindMount():
                    mounts.append(self._bind(step, mount, inputs))
                case ops.CacheMount():
                    mounts.append(self._cache(step, mount, inputs, caches[mount.id]))
                case ops.TmpfsMount():
                    mounts.append(spec.BoundTmpfs(target=mount.target, size_bytes=mount.size_bytes))
                case ops.SecretMount():
                    self._secret(mount, mounts, env)
                case ops.SshMount():
                    self._ssh(mount, mounts, env)
        return tuple(mounts), tuple(env)

    def _bind(self, step: Step, mount: ops.BindMount, inputs: tuple[Result | None, ...]) -> spec.BoundTree:
        return spec.BoundTree(
            target=mount.target,
            of=self.readable(step, mount.input, inputs),
            source=mount.source,
            readonly=mount.readonly,
        )

    def _caches(self, op: ops.RunOp, held: ExitStack, cancel: Cancel) -> dict[str, str]:
        """The directory of each cache by id. Always in the same order, and each once: so no two steps wait for each
        other, and none for itself.
        """
        found: dict[str, list[ops.CacheMount]] = {}
        for mount in op.mounts:
            if isinstance(mount, ops.CacheMount):
                found.setdefault(mount.id, []).append(mount)
        if self._restore is not None:
            for cache_id in found:
                self._restore(cache_id)
        directories = {}
        for cache_id, mounts in sorted(found.items()):
            sharing = min((mount.sharing for mount in mounts), key=_STRICTEST.index)
            empty = self._remove if any(self._begins_empty(op, mount) for mount in mounts) else None
            hold = self._session.store.caches.hold(cache_id, sharing, cancel=cancel, empty=empty)
            directories[cache_id] = held.enter_context(hold)
        return directories

    def _cache(
        self, step: Step, mount: ops.CacheMount, inputs: tuple[Result | None, ...], directory: str
    ) -> spec.BoundCache:
        seed = None if mount.input is None else self.readable(step, mount.input, inputs)
        return spec.BoundCache(
            target=mount.target,
            directory=directory,
            readonly=mount.readonly,
            mode=mount.mode,
            uid=mount.uid,
            gid=mount.gid,
            seed=seed,
            seed_source=mount.source,
        )

    def _remove(self, path: str) -> None:
        self._session.keeper().ask(spec.RemoveRequest(paths=(path,)))

    def _begins_empty(self, op: ops.RunOp, mount: ops.CacheMount) -> bool:
        """Reference §1.8: with --no-cache a cache whose owner or mode is set begins empty, once a build."""
        if mount.id not in op.run_only.emptied:
            return False
        with self._lock:
            first = mount.id not in self._emptied
            self._emptied.add(mount.id)
        return first

    def _secret(self, mount: ops.SecretMount, mounts: list[spec.AnyBound], env: list[tuple[str, str]]) -> None:
        value = self.secrets.value(mount.id)
        if value is None:
            if mount.required:
                raise InputError(f"secret {mount.id}: not found", hint=f"give it: --secret id={mount.id},src=FILE")
            return
        if mount.env:
            env.append((mount.env, value.decode("utf-8", "surrogateescape")))
        if mount.target:
            mounts.append(
                spec.BoundSecret(target=mount.target, data=value, mode=mount.mode, uid=mount.uid, gid=mount.gid)
            )

    def _ssh(self, mount: ops.SshMount, mounts: list[spec.AnyBound], env: list[tuple[str, str]]) -> None:
        path = self.secrets.agent(mount.id)
        if path is None:
            if mount.required:
                raise InputError(f"ssh {mount.id}: not found", hint=f"give it: --ssh {mount.id}=PATH")
            return
        mounts.append(spec.BoundSocket(target=mount.target, path=path, mode=mount.mode, uid=mount.uid, gid=mount.gid))
        env.append(("SSH_AUTH_SOCK", mount.target))
