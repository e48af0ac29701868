"""Mountpoints in a step's root, made where they are missing and remembered, so that the layer keeps no trace of them.

Works on the caller's root: the kernel itself resolves what the image's symlinks say, and cannot leave it.
"""

from __future__ import annotations

import os
import stat

from jettison.base.errors import InputError
from jettison.tree.commit import Made


class Mountpoints:
    """Finds and makes mountpoints; `made` are those that were not there, in the order of making."""

    def __init__(self) -> None:
        self.made: list[Made] = []

    def directory(self, target: str) -> str:
        """The real path of `target`, a directory, made with its parents where missing. Raises InputError."""
        path = os.path.realpath(target)
        status = self._status(path)
        if status is None:
            self.directory(os.path.dirname(path))
            self._make(path, lambda: os.mkdir(path, 0o755))
        elif not stat.S_ISDIR(status.st_mode):
            raise InputError(f"mount target {target} is not a directory")
        return path

    def file(self, target: str) -> str:
        """The real path of `target`, a file, made empty where missing. Raises InputError."""
        path = os.path.realpath(target)
        status = self._status(path)
        if status is None:
            self.directory(os.path.dirname(path))
            self._make(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)))
        elif stat.S_ISDIR(status.st_mode):
            raise InputError(f"mount target {target} is a directory")
        return path

    def _make(self, path: str, action: object) -> None:
        parent = os.path.dirname(path)
        before = os.stat(parent).st_mtime_ns
        try:
            action()  # type: ignore[operator]
        except OSError as error:
            raise InputError(f"mount target {path} cannot be made: {error.strerror}") from error
        self.made.append(Made(path.lstrip("/"), before, os.stat(parent).st_mtime_ns))

    @staticmethod
    def _status(path: str) -> os.stat_result | None:
        try:
            return os.lstat(path)
        except FileNotFoundError:
            return None
        except OSError as error:  # a file where a directory should be, or symlinks in a circle
            raise InputError(f"mount target {path}: {error.strerror}") from error
