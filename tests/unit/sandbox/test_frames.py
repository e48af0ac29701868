"""Frames over a socket."""

import socket
import threading

import pytest

from jettison.sandbox import spec
from jettison.sandbox.frames import Reader, encode, send


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def read_all(data: bytes) -> list[spec.AnyReply]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = threading.Thread(target=lambda: (theirs.sendall(data), theirs.shutdown(socket.SHUT_WR)))
        writer.start()
        reader: Reader[spec.AnyReply] = Reader(ours, spec.AnyReply)
        found = []
        try:
            while (frame := reader.next()) is not None:
                found.append(frame)
        finally:
            writer.join()  # also when what it wrote was refused: it must not find its socket closed
    return found


def test_frames_come_out_as_they_went_in() -> None:
    frames: list[spec.AnyReply] = [
        spec.Output(stream=1, data=bytes(range(256)) * 1000),
        spec.Note(text="käse"),
        spec.Done(sizes=(1, 2**60)),
        spec.Failed(kind="HostError", message="no", hint=None),
    ]
    assert read_all(b"".join(map(encode, frames))) == frames


def test_text_that_is_not_utf_8_comes_through() -> None:
    strange = b"/\xff\xfe".decode(errors="surrogateescape")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request = spec.RunRequest(
            tree=spec.Tree((strange,)),
            out="",
            scratch="",
            args=("x",),
            env=(("A", strange),),
            mounts=(
                spec.BoundSecret(target="/s", data=b"\xff\0"),
                spec.BoundTree(target="/t", of=spec.Directory(strange)),
            ),
        )
        send(ours, request)
        assert Reader[spec.AnyRequest](theirs, spec.AnyRequest).next() == request


def test_a_stream_that_ends_inside_a_frame_has_ended() -> None:
    whole = encode(spec.Note(text="whole"))
    for cut in range(1, len(whole)):
        assert read_all(whole + whole[:cut]) == [spec.Note(text="whole")]


def test_a_length_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="a message of"):
        read_all(b"\x7f\xff\xff\xff....")
