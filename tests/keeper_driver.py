"""A driver in a process of its own: takes requests over a socket, has its keeper do them, passes on what comes.

A test can so have one as another user, kill one, or put one behind a filter of system calls. Needs jettison alone.
"""

from __future__ import annotations

import socket
import sys
import threading

import msgspec

from jettison.base import errors
from jettison.sandbox import client, spec
from jettison.sandbox.frames import Reader, send


class Told(msgspec.Struct, frozen=True):
    """One thing to do. `cancel_on`: set the cancel object when output holds these bytes."""

    request: spec.AnyRequest
    cancel_on: bytes = b""


def drive(control: str, folder: str, isolation: str) -> None:
    """Do one request after the other until the other end of the socket `control` closes."""
    sock = socket.socket(fileno=int(control))
    sock.set_inheritable(False)
    reader: Reader[Told] = Reader(sock, Told)
    with client.Keeper.start(folder, isolation) as keeper:
        while (told := reader.next()) is not None:
            send(sock, _answer(keeper, told, sock))


def _answer(keeper: client.Keeper, told: Told, sock: socket.socket) -> spec.AnyReply:
    cancel = threading.Event()

    def on_frame(frame: spec.Output | spec.Note) -> None:
        send(sock, frame)
        if told.cancel_on and isinstance(frame, spec.Output) and told.cancel_on in frame.data:
            cancel.set()

    try:
        fds = (0, 1, 2) if isinstance(told.request, spec.RunRequest) and told.request.interactive else ()
        return keeper.ask(told.request, on_frame, fds, cancel)
    except errors.JettisonError as error:
        return spec.Failed(kind=type(error).__name__, message=error.message, hint=error.hint)


if __name__ == "__main__":
    drive(*sys.argv[1:])
