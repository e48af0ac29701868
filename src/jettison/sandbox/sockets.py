"""Unix sockets, as far as every build with a step needs them.

Python's `socket` takes 4 ms to import, for enums and for what is no socket; what it stands on takes none, and does the
same.
"""

from __future__ import annotations

import sys
from _socket import AF_UNIX, CMSG_LEN, SCM_RIGHTS, SHUT_WR, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, sethostname, socket
from _socket import socketpair as _pair
from types import TracebackType
from typing import Self

__all__ = ["SHUT_WR", "SOCK_SEQPACKET", "SOCK_STREAM", "Socket", "pair", "recv_fds", "send_fds", "sethostname"]

_INT_BYTES = 4


class Socket(socket):
    """A socket that is closed at the end of a block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def pair(kind: int = SOCK_STREAM) -> tuple[Socket, Socket]:
    """Two ends of one connection, which no other program inherits. Raises OSError."""
    one, two = _pair(AF_UNIX, kind)
    return Socket(fileno=one.detach()), Socket(fileno=two.detach())


def send_fds(sock: socket, data: bytes, fds: list[int]) -> None:
    """Send bytes, at least one, with descriptors beside them. Raises OSError."""
    packed = b"".join(fd.to_bytes(_INT_BYTES, sys.byteorder) for fd in fds)
    sock.sendmsg([data], [(SOL_SOCKET, SCM_RIGHTS, packed)])


def recv_fds(sock: socket, most_bytes: int, most_fds: int) -> tuple[bytes, list[int]]:
    """What `send_fds` sent, or plain bytes and no descriptors; b"" at the end. Raises OSError.

    The descriptors are inherited by programs until that is taken from them.
    """
    data, beside, _, _ = sock.recvmsg(most_bytes, CMSG_LEN(most_fds * _INT_BYTES))
    fds: list[int] = []
    for level, kind, packed in beside:
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
            whole = len(packed) // _INT_BYTES * _INT_BYTES
            fds += (int.from_bytes(packed[at : at + _INT_BYTES], sys.byteorder) for at in range(0, whole, _INT_BYTES))
    return data, fds
