"""Framed messages over a stream socket: four bytes of length, then msgpack. Spoken by both ends of a request.

Text that is not UTF-8 (paths and values read with surrogateescape) does not fit msgpack: such a frame is JSON, whose
escapes keep lone surrogates, and says so by the length's highest bit.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from _socket import socket

T = TypeVar("T")
MAX_FRAME_BYTES = 256 * 1024 * 1024  # a request carries scripts and secrets, never file contents
_JSON = 0x8000_0000
_READ = 64 * 1024
_encoder = msgspec.msgpack.Encoder()


def encode(value: msgspec.Struct) -> bytes:
    """`value` as one frame."""
    try:
        body, flag = _encoder.encode(value), 0
    except UnicodeEncodeError:
        import json

        body, flag = json.dumps(msgspec.to_builtins(value)).encode("ascii"), _JSON
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a message of {len(body)} bytes")
    return (len(body) | flag).to_bytes(4, "big") + body


def send(sock: socket, *values: msgspec.Struct) -> None:
    """Write a frame for each value, all at once, waiting for the other end as long as it takes."""
    sock.sendall(b"".join(map(encode, values)))


@functools.cache
def decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """The decoder of a type; made once a process, since reading a large union's types takes milliseconds."""
    return msgspec.msgpack.Decoder(kind)


class Reader(Generic[T]):
    """Frames out of a socket, one after the other. `kind` is the type (or union) that they hold."""

    def __init__(self, sock: socket, kind: Any) -> None:
        self._sock = sock
        self._kind = kind
        self._decoder: msgspec.msgpack.Decoder[T] = decoder(kind)
        self._held = bytearray()

    def next(self) -> T | None:
        """The next frame; None when the other end closed. A stream that ends inside a frame has ended."""
        while True:
            frame = self.take()
            if frame is not None:
                return frame
            if not self.fill():
                return None

    def fill(self) -> bool:
        """Read what there is, waiting for the first byte; False at the end."""
        try:
            data = self._sock.recv(_READ)
        except ConnectionResetError:
            return False
        self._held += data
        return bool(data)

    def take(self) -> T | None:
        """A frame that has been read whole, or None. Raises ValueError for what is no frame."""
        if len(self._held) < 4:
            return None
        head = int.from_bytes(self._held[:4], "big")
        size = head & ~_JSON
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"a message of {size} bytes")
        if len(self._held) < 4 + size:
            return None
        body = bytes(self._held[4 : 4 + size])
        del self._held[: 4 + size]
        if head & _JSON:
            import json

            return msgspec.convert(json.loads(body), self._kind)  # type: ignore[no-any-return]
        return self._decoder.decode(body)
