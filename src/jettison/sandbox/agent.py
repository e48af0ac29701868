"""A unix socket for the step, whose connections are passed on to one of this machine (an ssh agent).

The agent asks the kernel who connects and only answers its own user, and the step's USER could not open its socket: so
the step gets a socket with the owner and mode it wants, and a small process of the keeper's connects for it.
"""

from __future__ import annotations

import os
import select
import socket
from typing import NoReturn

from jettison.sandbox import syscalls

_PIECE = 64 * 1024


def listen(directory: str, uid: int, gid: int, mode: int) -> socket.socket:
    """A socket that listens at `directory`/socket."""
    listener = socket.socket(socket.AF_UNIX)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # By descriptor: a socket's path is limited to 107 bytes.
        listener.bind(f"/proc/self/fd/{handle}/socket")
    finally:
        os.close(handle)
    os.chmod(f"{directory}/socket", mode)
    os.chown(f"{directory}/socket", uid, gid)
    listener.listen()
    return listener


def pass_on(listener: socket.socket, path: str) -> int:
    """Start the process that connects `listener` with the socket at `path`; its pid. The caller ends it."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.die_with_parent(parent)
            _serve(listener, path)
        finally:
            os._exit(0)
    return pid


def _serve(listener: socket.socket, path: str) -> NoReturn:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    other: dict[int, socket.socket] = {}  # each end of a connection by its partner's descriptor
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                near, far = listener.accept()[0], _connect(path)
                if far is None:
                    near.close()
                    continue
                for one, two in ((near, far), (far, near)):
                    other[one.fileno()] = two
                    poll.register(one, select.POLLIN)
            elif fd in other and not _copy(fd, other[fd]):
                far = other.pop(fd)
                near = other.pop(far.fileno())
                for end in (near, far):
                    poll.unregister(end)
                    end.close()


def _connect(path: str) -> socket.socket | None:
    far = socket.socket(socket.AF_UNIX)
    try:
        far.connect(path)
    except OSError:
        far.close()
        return None
    return far


def _copy(fd: int, to: socket.socket) -> bool:
    """Pass one piece on; False when either end is done (an agent's client never half-closes)."""
    try:
        data = os.read(fd, _PIECE)
        to.sendall(data)
    except OSError:
        return False
    return bool(data)
