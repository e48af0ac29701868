"""The step's own process, from fork to exec: namespaces, the root with everything in it, ids and capabilities.

It tells its parent over `status` what it made and what went wrong; exec closes that socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import stat
from collections.abc import Iterator
from typing import NoReturn

import msgspec

from jettison.base.errors import HostError, InputError, JettisonError
from jettison.sandbox import bound, credentials, foreign, mount, spec, syscalls, world
from jettison.sandbox.desk import failure, host_error
from jettison.sandbox.frames import send
from jettison.sandbox.mountpoints import Mountpoints
from jettison.sandbox.processes import HANDLED
from jettison.sandbox.sockets import Socket, pair, sethostname
from jettison.sandbox.tier import Tier
from jettison.tree.commit import LiveView, Made
from jettison.tree.passwd import Identity, user_of

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Ready(msgspec.Struct, frozen=True, tag=True):
    """All is set up; exec is next. `made`: the mountpoints that the image lacked."""

    made: tuple[Made, ...]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The program could not be executed: as runc says it, with the exit code that a shell would give."""

    text: str
    exit_code: int


AnyStatus = Ready | Refused | spec.Failed


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What the process needs besides the request: where it mounts, and its descriptors.

    `upper`, `work` and `mounts_at` are directories of the request's scratch. `streams` are stdin, stdout and stderr;
    stdin None is /dev/null. Every byte that `signals` gives is the number of a signal for an interactive program.
    """

    request: spec.RunRequest
    tier: Tier
    lowers: tuple[str, ...]
    upper: str
    work: str
    mounts_at: str
    mounts: tuple[spec.AnyBound, ...]
    streams: tuple[int | None, ...]
    signals: int | None = None
    parent: int


def start(launch: Launch) -> tuple[int, Socket]:
    """Fork the step's process; its pid, and where AnyStatus frames come from until exec."""
    ours, theirs = pair()
    if launch.tier.fresh_proc:
        syscalls.unshare(syscalls.CLONE_NEWPID)  # of the child to come
    pid = os.fork()
    if pid == 0:
        ours.close()
        _live(launch, theirs)
    if launch.tier.fresh_proc:
        with contextlib.suppress(OSError):  # where that is refused, this is the last process that we start
            syscalls.return_to_own_pid_namespace()
    theirs.close()
    return pid, ours


def _live(launch: Launch, status: Socket) -> NoReturn:
    try:
        parent = 0 if launch.tier.fresh_proc else launch.parent
        syscalls.die_with_parent(parent)
        if not launch.request.interactive:
            os.setsid()
        try:
            _become_step(launch, status, parent)
        except JettisonError as error:
            send(status, failure(error))
        except OSError as error:
            told = host_error(error)
            send(status, failure(HostError(f"the step's sandbox cannot be set up: {told.message}", hint=told.hint)))
        except ValueError as error:  # a NUL in an argument, a nameless variable
            send(status, failure(InputError(f"the command cannot be run: {error}")))
        except Exception as error:  # noqa: BLE001 - the last place where a fault can be told
            send(status, failure(error))
    finally:
        os._exit(1)


def _become_step(launch: Launch, status: Socket, parent: int) -> None:
    request = launch.request
    points = Mountpoints()
    _make_root(launch, points)
    who = user_of(LiveView("/"), request.user)
    env = dict(request.env)
    env.setdefault("HOME", who.home)
    _enter(request.cwd, who)
    send(status, Ready(tuple(points.made)))
    if request.interactive:
        parent = _be_init(status, launch.signals)
    _streams(launch.streams, who, own=not request.interactive)
    credentials.become(who.uid, who.gid, who.groups, all_capabilities=request.security == "insecure")
    # A system call filter would be installed here.
    syscalls.die_with_parent(parent)
    _reset_signals()
    os.umask(0o022)
    send(status, execute(request.args, env))


def _make_root(launch: Launch, points: Mountpoints) -> None:
    """Namespaces, and a root in which all stands at its place. Ends in the new root, the old one gone."""
    request, tier = launch.request, launch.tier
    none = request.network == "none"
    mount.private_namespace(syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | (syscalls.CLONE_NEWNET if none else 0))
    sethostname(request.hostname)
    if none:
        _loopback_up()
    root, stage, empty = staging(launch.mounts_at)
    insecure = request.security == "insecure"
    what = mount.Overlay(
        lowers=launch.lowers or (empty,),
        upper=launch.upper,
        work=launch.work,
        namespace=tier.overlay_namespace,
        short=os.path.join(stage, "short"),
        flags=0 if insecure else syscalls.MS_NODEV,
    )
    mount.overlay(what, root)
    world.make_devices(stage)
    world.name_files(stage, request.hostname, request.extra_hosts)
    placed = [
        bound.place(each, number, request.scratch, stage, tier.overlay_namespace)
        for number, each in enumerate(launch.mounts)
    ]
    for number, script in enumerate(request.files):
        path = os.path.join(stage, f"script-{number}")
        bound.write(path, script.data.encode("utf-8", "surrogateescape"), 0o755)
        placed.append(bound.Placed(script.path, path, syscalls.MS_RDONLY | syscalls.MS_NODEV | syscalls.MS_NOSUID))
    pivoted = _change_root(root)
    world.mount_proc(fresh=tier.fresh_proc)
    world.mount_dev(stage.lstrip("/"), request.shm_size_bytes)
    world.mount_sys(writable=insecure)
    if not insecure:
        world.hide()
    world.bind_names(stage.lstrip("/"), points)
    for each in placed:
        bound.attach(each, points)
    if pivoted:
        syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")


def staging(directory: str) -> tuple[str, str, str]:
    """A tmpfs at `directory`, and in it: a mountpoint for a root, a place for files of ours, an empty directory."""
    syscalls.mount("tmpfs", directory, "tmpfs", syscalls.MS_NOSUID, "mode=700")
    root, stage, empty = (os.path.join(directory, name) for name in ("root", "stage", "empty"))
    for path in (root, stage, empty):
        os.mkdir(path)
    return root, stage, empty


def _change_root(root: str) -> bool:
    """Make `root` the root and the old one the working directory; whether that can be unmounted now.

    Docker's filter refuses pivot_root even where it allows mount, and an initramfs has no root to pivot: there the new
    root covers the old one, and `..` leads nowhere from it.
    """
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(root)
    try:
        syscalls.pivot_root(".", ".")
        pivoted = True
    except OSError:
        syscalls.mount(".", "/", None, syscalls.MS_MOVE)
        os.chroot(".")
        pivoted = False
    os.fchdir(old)
    os.close(old)
    return pivoted


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def _enter(cwd: str, who: Identity) -> None:
    """Change to the step's working directory, made where it is missing."""
    path = os.path.realpath(cwd)
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        os.mkdir(directory, 0o755)
        os.chown(directory, who.uid, who.gid)
    try:
        os.chdir(os.path.realpath(cwd))
    except OSError as error:
        raise InputError(f"the working directory {cwd} cannot be entered: {error.strerror}") from error


def _be_init(status: Socket, signals: int | None) -> int:
    """For a person at a terminal: a process of ours stays as the first one, so that ^C reaches the program.

    (The kernel keeps signals without a handler from a namespace's first process.) Returns in the program's process,
    with the pid of that first one.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        return parent
    status.close()
    for number in {} if signals is None else _heard(signals):
        if number == signal.SIGCHLD:
            _reap(pid)
        else:
            os.kill(pid, number)
    while True:
        _reap(pid, 0)


def _heard(signals: int) -> Iterator[int]:
    """Numbers of signals as the descriptor gives them, and SIGCHLD for a child that ended."""
    ended, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    yield signal.SIGCHLD  # one may have ended before
    poll = select.poll()
    for fd in (ended, signals):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            data = os.read(fd, 64)
            if fd == ended:
                yield signal.SIGCHLD
            elif data:
                yield from data
            else:
                return  # nobody will send one any more


def _reap(program: int, flags: int = os.WNOHANG) -> None:
    """Take the children that have ended; end with the program."""
    while True:
        try:
            ended, raw = os.waitpid(-1, flags)
        except ChildProcessError:
            os._exit(1)
        if ended == program:
            code = os.waitstatus_to_exitcode(raw)
            os._exit(code if code >= 0 else 128 - code)
        if ended == 0:
            return


def _streams(streams: tuple[int | None, ...], who: Identity, *, own: bool) -> None:
    """Standard streams. Pipes of our own are given to the step's user, who may open /dev/stdout by name."""
    for number, given in enumerate(streams):
        fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) if given is None else given
        if own and given is not None:
            os.fchown(fd, who.uid, who.gid)
        os.dup2(fd, number)


def _reset_signals() -> None:
    # The client starts the keeper with all at their defaults: these are what Python and we changed.
    for number in (*HANDLED, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def execute(args: tuple[str, ...], env: dict[str, str]) -> Refused | spec.Failed:
    """Replace this process by the program; returns only when that cannot be: Failed where the machine is why."""
    name = args[0] if args else ""
    try:
        program = find(name, env.get("PATH", DEFAULT_PATH))
    except FileNotFoundError as error:
        return Refused(f'exec: "{name}": {error.strerror}', 127)
    except OSError as error:
        return Refused(f'exec: "{name}": {error.strerror}', 126)
    try:
        os.execve(program, args, env)  # noqa: S606 - that is the point
    except OSError as error:
        if (told := foreign.fault(program, error)) is not None:
            return failure(told)
        text = (error.strerror or "").lower()
        return Refused(f"exec {program}: {text}", 127 if error.errno == errno.ENOENT else 126)


def find(name: str, path: str) -> str:
    """The program that `name` means with this PATH. Raises OSError in runc's words."""
    if "/" in name:
        _check_executable(name)
        return name
    denied: OSError | None = None
    for directory in path.split(":"):
        candidate = os.path.join(directory or ".", name)
        try:
            if name:
                _check_executable(candidate)
                return candidate
        except FileNotFoundError:
            continue
        except OSError as error:
            denied = error
    if denied is not None and not isinstance(denied, IsADirectoryError):
        raise denied
    raise FileNotFoundError(errno.ENOENT, "executable file not found in $PATH")


def _check_executable(path: str) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        kind = FileNotFoundError if isinstance(error, (FileNotFoundError, NotADirectoryError)) else PermissionError
        raise kind(error.errno, f"stat {path}: {(error.strerror or '').lower()}") from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not os.access(path, os.X_OK):
        raise PermissionError(errno.EACCES, "permission denied")
