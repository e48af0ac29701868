"""A file that is read while it is written, to the end that it will have."""

from __future__ import annotations

import os

_NOTES_BYTES = 1 << 16  # read at once


class Growing:
    """`file` is read from where it stands. `notes` is a pipe into which its writer puts a byte whenever there is more,
    and which it closes when that was all: dead or done, whoever reads then finds the end.
    """

    def __init__(self, file: int, notes: int) -> None:
        self._file = file
        self._notes = notes
        self._all = False

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, waited for; b"" at the end."""
        while True:
            is_last = self._all  # asked before: what came until then is read now
            data = os.read(self._file, count)
            if data or is_last:
                return data
            self._all = not os.read(self._notes, _NOTES_BYTES)
