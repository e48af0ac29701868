"""A layer that is unpacked while it is fetched: its bytes go into the store, and the keeper reads them there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from jettison.store.blobs import Ingest

_NOTE = b"."  # says that there is more; the end of the notes, that this was all


class Streamed:
    """A context manager: what its block writes to `tee(...)` is kept, and `reader(file, notes)` reads it meanwhile, in
    a thread of its own that begins with the first tee. The two descriptors are for a `layer.growing.Growing`.

    Leaving the block raises what the reader raised, unless what it saw was not the blob: a download that began anew is
    kept, but not read again. Then `worked` is False, and the bytes are to be read from where they were kept.
    """

    def __init__(self, reader: Callable[[int, int], object]) -> None:
        self._reader = reader
        self._file = self._reading = self._writing = -1
        self._broken = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self.worked = False

    def __enter__(self) -> Self:
        return self

    def tee(self, kept: Ingest) -> Tee:
        """A sink for what is to be kept and read. The second one is only kept: another source has been asked."""
        if self._thread is None:
            self._begin(kept)
        else:
            self.break_off()
        return Tee(kept, self)

    def tell(self) -> None:
        """Have the reader look for more."""
        if self._writing < 0:
            return
        try:
            os.write(self._writing, _NOTE)
        except BlockingIOError:
            return  # so many notes are there that it will look anyway

    def end(self) -> None:
        """That was all: the reader need not wait until it is on the disk, and named."""
        self._stop()

    def break_off(self) -> None:
        """What was kept so far was not the blob, or not all of it will come."""
        self._broken = True
        self._stop()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()
        if self._thread is None:
            return
        self._thread.join()
        os.close(self._reading)
        os.close(self._file)
        if kind is None and self._failure is not None and not self._broken:
            raise self._failure

    def _begin(self, kept: Ingest) -> None:
        self._file = kept.follow()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._thread = threading.Thread(target=self._read, name="jettison unpack")
        self._thread.start()

    def _read(self) -> None:
        try:
            self._reader(self._file, self._reading)
            self.worked = True
        except BaseException as error:  # noqa: BLE001 - raised in the owner's thread, or the bytes are read again
            self._failure = error

    def _stop(self) -> None:
        writing, self._writing = self._writing, -1
        if writing >= 0:
            os.close(writing)


class Tee:
    """A sink that keeps what it is given, and tells the reader."""

    def __init__(self, kept: Ingest, streamed: Streamed) -> None:
        self._kept = kept
        self._streamed = streamed

    @property
    def digest(self) -> str:
        """Of all that was written."""
        return self._kept.digest

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._kept.write(data)
        if self._kept.is_whole:
            self._streamed.end()
        else:
            self._streamed.tell()

    def restart(self) -> None:
        """Forget all bytes so far."""
        self._streamed.break_off()
        self._kept.restart()
