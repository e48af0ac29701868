"""What the keeper does for the store besides steps: remove trees whatever owns them, and tell their size on disk."""

from __future__ import annotations

import errno
import os
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove `path` and all below it; nothing is followed, and what is gone already is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        _empty(os.open(path, _DIRECTORY))
        os.rmdir(path)


def _empty(at: int) -> None:
    """Remove all below the open directory `at`, and close it.

    By descriptor, one at a time, and without recursion: a step can make paths that are longer than the kernel takes
    at once, and trees deeper than a process may have files open.
    """
    device = os.fstat(at).st_dev
    levels = [_remove_files(at)]
    while levels:
        if levels[-1]:
            deeper = os.open(levels[-1][-1], _DIRECTORY, dir_fd=at)
            if os.fstat(deeper).st_dev != device:
                raise OSError(errno.EBUSY, "something is mounted there", levels[-1][-1])
            levels.append(_remove_files(deeper))
        else:
            levels.pop()
            deeper = os.open("..", _DIRECTORY, dir_fd=at)
            if levels:
                os.rmdir(levels[-1].pop(), dir_fd=deeper)
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
                os.unlink(entry.name, dir_fd=directory)
    return left


def size_of(path: str) -> int:
    """The bytes on disk below `path`: blocks, a hard-linked file counted once; 0 for what is not there."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    total = status.st_blocks * 512
    seen: set[tuple[int, int]] = set()
    stack = [path] if stat.S_ISDIR(status.st_mode) else []
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    stack.append(entry.path)
                elif status.st_nlink > 1:
                    if (status.st_dev, status.st_ino) in seen:
                        continue
                    seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total
