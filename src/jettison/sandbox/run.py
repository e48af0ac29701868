"""A RUN, in the keeper's child: prepare, start the step's process, pass its output on, and commit what it changed."""

from __future__ import annotations

import os
import signal

from jettison.base.errors import HostError, InternalError
from jettison.sandbox import launch, mount, processes, spec, syscalls
from jettison.sandbox.bound import OnDisk, copy_root, lowers_of, ordered
from jettison.sandbox.desk import Desk, Relayed
from jettison.sandbox.files import flatten, head_of
from jettison.sandbox.frames import Reader
from jettison.sandbox.output import Pump
from jettison.sandbox.sockets import Socket
from jettison.sandbox.storage import remove_tree
from jettison.sandbox.taping import taping, warm
from jettison.tree.commit import LiveView, Made, commit, is_untouched, remove_mountpoints
from jettison.tree.content import snapshot_digest
from jettison.tree.row import Row
from jettison.tree.tape import Tape


def run(request: spec.RunRequest, desk: Desk) -> spec.Reply:
    """Do it. `scratch` is empty again afterwards, whatever happened; every process of the step has ended."""
    if request.network == "none" and not desk.tier.network_namespace:
        raise HostError(
            "RUN --network=none cannot be honoured here: no network namespace can be made",
            hint="jettison doctor tells what this machine allows",
        )
    try:
        return _Step(request, desk).run()
    finally:
        for name in os.listdir(request.scratch):
            remove_tree(os.path.join(request.scratch, name))


class _Step:
    """One RUN while it runs."""

    def __init__(self, request: spec.RunRequest, desk: Desk) -> None:
        self._request = request
        self._desk = desk
        self._work, self._mounts_at, self._snapshot = (
            os.path.join(request.scratch, name) for name in ("work", "mounts", "snapshot")
        )
        self._upper = os.path.join(self._snapshot, "files")
        self._lowers = lowers_of(request.tree.snapshots, os.path.join(request.scratch, "crown"))

    def run(self) -> spec.Reply:
        for path in (self._work, self._mounts_at, self._snapshot, self._upper):
            os.mkdir(path)
        if self._lowers:
            copy_root(self._lowers[-1], self._upper)
        on_disk = OnDisk(self._request.scratch, lambda of, source, out: flatten(of, source, out, self._desk))
        try:
            mounts = tuple(on_disk.prepare(each) for each in ordered(self._request.mounts))
            code, made = self._execute(mounts)
        finally:
            on_disk.end()
        if code or not self._request.out:
            return spec.Ran(exit_code=code, changed=False)
        with taping(self._request.pressing) as layer:
            rows = self._commit(made, layer.tape)
        digest = snapshot_digest(self._request.out, rows) if rows else ""
        return spec.Ran(exit_code=0, changed=bool(rows), digest=digest, packed=layer.packed)

    def _execute(self, mounts: tuple[spec.AnyBound, ...]) -> tuple[int, tuple[Made, ...]]:
        """Start the process and stay with it to its end: the exit code, and which mountpoints were made."""
        pipes = () if self._request.interactive else (os.pipe(), os.pipe())
        streams: tuple[int | None, ...] = (None, pipes[0][1], pipes[1][1]) if pipes else self._desk.fds[:3]
        if len(streams) != 3:
            raise InternalError("an interactive run needs three descriptors")
        if not self._desk.tier.fresh_proc:
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        pid, status = launch.start(
            launch.Launch(
                request=self._request,
                tier=self._desk.tier,
                lowers=self._lowers,
                upper=self._upper,
                work=self._work,
                mounts_at=self._mounts_at,
                mounts=mounts,
                streams=streams,
                signals=None if pipes else next(iter(self._desk.fds[3:]), None),
                parent=os.getpid(),
            )
        )
        for _, writing in pipes:
            os.close(writing)
        pump = Pump({pipe[0]: number for number, pipe in enumerate(pipes, 1)}, self._desk.send)
        handle = os.pidfd_open(pid)
        try:
            made, refused = self._setup(status)
            pump.run(handle, when_idle=warm)  # a COPY of what this step makes may be next
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.close(handle)
            if not self._desk.tier.fresh_proc:
                processes.end_children(keep=set())
        pump.rest()
        for reading, _ in pipes:
            os.close(reading)
        if refused is not None:
            self._desk.send(spec.Output(stream=2, data=refused.text.encode("utf-8", "surrogateescape") + b"\n"))
            return refused.exit_code, made
        return code if code >= 0 else 128 - code, made

    @staticmethod
    def _setup(status: Socket) -> tuple[tuple[Made, ...], launch.Refused | None]:
        """Hear what the process says until exec."""
        made: tuple[Made, ...] = ()
        ready, refused = False, None
        reader: Reader[launch.AnyStatus] = Reader(status, launch.AnyStatus)
        with status:
            while (said := reader.next()) is not None:
                match said:
                    case launch.Ready():
                        ready, made = True, said.made
                    case launch.Refused():
                        refused = said
                    case spec.Failed():
                        raise Relayed(said)
        if not ready:
            raise HostError("the step's process ended before it was set up")
        return made, refused

    def _commit(self, made: tuple[Made, ...], tape: Tape | None) -> list[Row]:
        """The upper directory becomes the snapshot `out`; its rows, [] when nothing changed."""
        tier = self._desk.tier
        remove_mountpoints(self._upper, made)
        if self._lowers and is_untouched(self._upper, self._lowers[-1]):
            return []
        mount.private_namespace()
        places = launch.staging(self._mounts_at)
        try:
            base = LiveView(self._mount_base(*places))
            return commit(
                self._snapshot,
                base,
                self._request.out,
                namespace=tier.overlay_namespace,
                head=head_of(tier),
                tape=tape,
                workers=os.cpu_count() or 1,
            )
        finally:
            syscalls.umount(self._mounts_at, syscalls.MNT_DETACH)

    def _mount_base(self, root: str, stage: str, empty: str) -> str:
        """What was there before, as the kernel shows it: the cost is that of the paths looked up, not of the image."""
        if not self._lowers:
            return empty
        what = mount.Overlay(
            lowers=(empty, *self._lowers),  # one more: an overlay of one directory is none
            namespace=self._desk.tier.overlay_namespace,
            short=os.path.join(stage, "short"),
        )
        mount.overlay(what, root)
        return root
