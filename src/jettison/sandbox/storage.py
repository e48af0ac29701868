"""What the keeper does for the store besides steps: remove trees whatever owns them, and tell their size on disk."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove `path` and all below it; nothing is followed, and what is gone already is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        try:
            _empty(os.open(path, _DIRECTORY))
            os.rmdir(path)
        except FileNotFoundError:  # somebody else who removes it has moved it aside
            return


def _empty(at: int) -> None:
    """Remove all below the open directory `at`, and close it.

    By descriptor, one at a time, and without recursion: a step can make paths that are longer than the kernel takes
    at once, and trees deeper than a process may have files open. Somebody else may be removing the same.
    """
    device = os.fstat(at).st_dev
    levels = [_remove_files(at)]
    while levels:
        if levels[-1]:
            deeper = _open_below(at, levels[-1][-1])
            if deeper is None:
                levels[-1].pop()
                continue
            if os.fstat(deeper).st_dev != device:
                raise OSError(errno.EBUSY, "something is mounted there", levels[-1][-1])
            levels.append(_remove_files(deeper))
        else:
            levels.pop()
            deeper = os.open("..", _DIRECTORY, dir_fd=at)
            if levels:
                _gone(os.rmdir, levels[-1].pop(), deeper)
        os.close(at)
        at = deeper
    os.close(at)


def _remove_files(directory: int) -> list[str]:
    """Remove what is no directory; the names of the directories, which are left."""
    left = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left.append(entry.name)
            else:
                _gone(os.unlink, entry.name, directory)
    return left


def _gone(remove: Callable[..., None], name: str, directory: int) -> None:
    try:
        remove(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def _open_below(at: int, name: str) -> int | None:
    """The directory `name` of the open directory `at`, None when it is gone."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=at)
    except FileNotFoundError:
        return None


def size_of(path: str) -> int:
    """The bytes on disk at and below `path`: blocks, of a hard-linked file the link's share, so that all links together
    count once. 0 for what is not there. Others may be changing it meanwhile.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return _share(status)
        return _share(status) + _size_below(os.open(path, _DIRECTORY))
    except FileNotFoundError:
        return 0


def _size_below(at: int) -> int:
    """The bytes of all below the open directory `at`, which is closed. As `_empty`: without paths or recursion."""
    total, directories = _size_within(at)
    levels = [directories]
    while levels:
        if levels[-1]:
            deeper = _open_below(at, levels[-1].pop())
            if deeper is None:
                continue
            size, directories = _size_within(deeper)
            total += size
            levels.append(directories)
        else:
            levels.pop()
            deeper = os.open("..", _DIRECTORY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    return total


def _size_within(directory: int) -> tuple[int, list[str]]:
    """The bytes of a directory's entries, and the names of those that are directories."""
    total, directories = 0, []
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            total += _share(status)
            if stat.S_ISDIR(status.st_mode):
                directories.append(entry.name)
    return total, directories


def _share(status: os.stat_result) -> int:
    links = 1 if stat.S_ISDIR(status.st_mode) else max(status.st_nlink, 1)
    return status.st_blocks * 512 // links
