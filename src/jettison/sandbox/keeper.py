"""The keeper process (mechanisms §1): single-threaded, everything imported, a forked child for a request.

It ends when the driver does: by the end of the control socket, or by the driver's pidfd. Where steps have a pid
namespace the keeper is the first process of one itself, so that whatever it started ends with it, by the kernel.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections.abc import Callable, Collection
from typing import NoReturn

import msgspec

from jettison.base.errors import HostError, InternalError, JettisonError
from jettison.sandbox import mount, probe, processes, remembered, spec, syscalls, userns
from jettison.sandbox.desk import failure
from jettison.sandbox.frames import decoder, encode
from jettison.sandbox.sockets import Socket, recv_fds
from jettison.sandbox.tier import Tier

_MAX_FDS = 5  # the reply socket, three standard streams, a pipe of signals
_UNPLACED = "unplaced"  # the client's word
_STOP_SECONDS = 10.0
_IDLE_MS = 300  # of a keeper that has nothing to do but wait: what little there is in a short build is its steps'
_GC_THRESHOLDS = (50_000, 20, 100)  # a child handles many values, and makes hardly any garbage in circles


def main(control_fd: str, driver: str, store_root: str, isolation: str) -> None:
    """The life of a keeper. Called by the one who made the process (`birth`); the arguments are its words."""
    for number in processes.HANDLED:
        signal.signal(number, signal.SIG_IGN)  # ^C is the driver's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.closerange(int(control_fd) + 1, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(int(control_fd), False)
    os.umask(0o022)
    os.chdir("/")
    control = Socket(fileno=int(control_fd))
    driver_fd = _driver(int(driver))
    chosen = None if isolation == _UNPLACED else _choosing(store_root, isolation or None)
    from jettison.sandbox import serve  # while the tier is being chosen

    serve.warm()
    state = None if chosen is None else chosen()
    if isinstance(state, Tier) and state.fresh_proc:
        _be_first(control)
    else:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    if state is not None:
        _announce(control, state)
    gc.freeze()  # what was imported stays shared with the children
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.enable()
    Loop(control, driver_fd, state).run()
    os._exit(0)  # nothing is left, and taking the interpreter apart would only take time


def _driver(pid: int) -> int | None:
    """A descriptor that tells when the driver ends, even where a child of it holds the control socket."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _choosing(store_root: str, isolation: str | None) -> Callable[[], Tier | spec.Failed]:
    """Begin to choose a tier: the one that worked before, else a child tries. The function waits, and enters it."""
    tier = remembered.recall(store_root, isolation)
    if tier is not None:
        return lambda: _entered(tier)
    reading, writing = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _choose(store_root, isolation, keeper, writing)
    os.close(writing)

    def chosen() -> Tier | spec.Failed:
        with open(reading, "rb") as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        found = decoder(spec.AnyReply).decode(said) if said else None
        if isinstance(found, spec.Placed):
            return _entered(found.tier)
        return found if isinstance(found, spec.Failed) else failure(InternalError("the trial of what works here died"))

    return chosen


def _choose(store_root: str, isolation: str | None, keeper: int, writing: int) -> NoReturn:
    """The life of that child."""
    try:
        syscalls.die_with_parent(keeper)
        found: spec.AnyReply
        try:
            found = spec.Placed(tier=probe.choose(store_root, isolation))
            remembered.remember(store_root, isolation, found.tier)
        except Exception as error:  # noqa: BLE001 - the last place where a fault can be told
            found = failure(error)
        os.write(writing, msgspec.msgpack.encode(found))
    finally:
        os._exit(0)


def _entered(tier: Tier) -> Tier | spec.Failed:
    """Enter what the tier needs; the tier that we are in then."""
    try:
        if tier.uid_map:
            userns.enter(tier.uid_map, tier.gid_map, by_helper=tier.map_by_helper, flags=syscalls.CLONE_NEWNS)
    except JettisonError as error:
        return failure(error)
    return tier


def _be_first(control: Socket) -> None:
    """Go on as the first process of a pid namespace; the process that was spawned waits for it and ends as it does."""
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID)
    except OSError as error:
        raise HostError(f"a pid namespace cannot be made: {error.strerror}") from error
    pid = os.fork()
    if pid == 0:
        syscalls.die_with_parent(0)
        mount.private_namespace()
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
        return
    control.close()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os._exit(status if status >= 0 else 1)


def _announce(control: Socket, state: Tier | spec.Failed) -> None:
    """Tell the driver the tier, so that it need not ask."""
    try:
        control.send(encode(state if isinstance(state, spec.Failed) else spec.Placed(tier=state)))
    except OSError:
        return  # the driver is gone already


def _warm_up() -> None:
    """Have what only some requests need, for all that come."""
    from jettison.sandbox import serve

    serve.warm_up()
    gc.freeze()


class _Child(msgspec.Struct):
    """A child that serves: its pid and pidfd, and our end of the socket of its requests and replies.

    We hold that end until all of the child's processes have gone, so that the driver reads its end then and not before.
    """

    pid: int
    pidfd: int
    reply: Socket
    stopping: bool = False


class Loop:
    """Takes requests, starts children, ends those whose asker hung up. `state`: the tier, or why there is none."""

    def __init__(self, control: Socket, driver_fd: int | None, state: Tier | spec.Failed | None) -> None:
        self._control = control
        self._driver_fd = driver_fd
        self._state = state
        self._children: dict[int, _Child] = {}  # by both descriptors
        self._pid = os.getpid()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        if driver_fd is not None:
            self._poll.register(driver_fd, select.POLLIN)

    def run(self) -> None:
        """Serve until the driver is gone; then end every child."""
        going, warm = True, False
        while going:
            ready = self._poll.poll(None if warm else _IDLE_MS)
            if not ready:
                _warm_up()  # there is time, and no request waits for it
                warm = True
            for fd, _ in ready:
                if fd == self._control.fileno():
                    going = going and self._take()
                elif fd == self._driver_fd:
                    going = False
                elif (child := self._children.get(fd)) is not None:
                    self._attend(child, fd)
        self._end_all()

    def _take(self) -> bool:
        """Take one request and fork its child; False when the driver closed the socket."""
        try:
            data, fds = recv_fds(self._control, 1, _MAX_FDS)
        except ConnectionResetError:
            return False
        if not data:
            return False
        if not fds:  # the client's word that archives are next
            _warm_up()
            return True
        for fd in fds:
            os.set_inheritable(fd, False)
        reply = Socket(fileno=fds[0])
        pid = os.fork()
        if pid == 0:
            self._be_child(reply, tuple(fds[1:]))
        for fd in fds[1:]:
            os.close(fd)
        self._adopt(_Child(pid, os.pidfd_open(pid), reply))
        return True

    def _be_child(self, reply: Socket, fds: tuple[int, ...]) -> NoReturn:
        """In the child: let go of what is the keeper's, serve, end."""
        from jettison.sandbox import serve

        try:
            syscalls.die_with_parent(self._pid)
            self._control.close()
            for child in self._all():
                child.reply.close()
            serve.serve(reply, fds, self._state)
        finally:
            os._exit(0)

    def _adopt(self, child: _Child) -> None:
        self._children[child.pidfd] = self._children[child.reply.fileno()] = child
        self._poll.register(child.pidfd, select.POLLIN)
        self._poll.register(child.reply, select.POLLRDHUP)

    def _attend(self, child: _Child, fd: int) -> None:
        """The child ended, or its asker hung up."""
        if fd == child.pidfd:
            self._forget(child)
        elif not child.stopping:
            child.stopping = True
            self._poll.unregister(child.reply)
            os.kill(child.pid, signal.SIGTERM)

    def _forget(self, child: _Child) -> None:
        self._poll.unregister(child.pidfd)
        if not child.stopping:
            self._poll.unregister(child.reply)
        del self._children[child.pidfd], self._children[child.reply.fileno()]
        status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        os.close(child.pidfd)
        if status:  # killed, so that it could not end what it had started
            processes.end_children(keep={other.pid for other in self._all()})
        child.reply.close()

    def _all(self) -> Collection[_Child]:
        return {child.pid: child for child in self._children.values()}.values()

    def _end_all(self) -> None:
        """Ask every child to end, then kill; the kernel does the rest where we are a namespace's first process."""
        for child in self._all():
            os.kill(child.pid, signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        for child in self._all():
            if not select.select([child.pidfd], [], [], max(0.0, until - time.monotonic()))[0]:
                os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
        processes.end_children(keep=set())
