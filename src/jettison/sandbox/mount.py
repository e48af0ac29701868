"""Mounts: an overlay of a layer stack, binds, and the same calls for older kernels. In the caller's mount namespace."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

import msgspec

from jettison.base.errors import HostError
from jettison.sandbox import syscalls as kernel
from jettison.sandbox.storage import remove_tree

# Pinned, since distributions turn some on: with metacopy a chown leaves a file of zero bytes in the upper directory.
# With userxattr the kernel turns the last two off by itself, and refuses redirect_dir=off.
_PINNED = {
    "trusted": (("index", "off"), ("metacopy", "off"), ("redirect_dir", "off")),
    "user": (("index", "off"), ("metacopy", "off")),
}
_MAX_LOWERS = 500  # the kernel's own limit
_MAX_FS_STRING = 255
_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """What to mount: `lowers` bottom first, `upper` and `work` "" for a read-only one.

    `short` is a directory that does not exist yet and in which an older kernel's short names may be made. `namespace`:
    trusted or user. `flags`: MS_NODEV and the like.
    """

    lowers: tuple[str, ...]
    short: str
    upper: str = ""
    work: str = ""
    namespace: str = "user"
    flags: int = 0


Method = Callable[[Overlay, str, bool], None]


def overlay(what: Overlay, target: str, methods: Sequence[Method] | None = None) -> None:
    """Mount `what` at `target`, by the first of `methods` that this kernel knows. Raises HostError.

    Nothing that is written through it is synced (`volatile`): a crash leaves a step to be done again.
    """
    if len(what.lowers) > _MAX_LOWERS:
        raise HostError(f"an image of {len(what.lowers)} layers: this kernel stacks {_MAX_LOWERS}")
    failure: OSError | None = None
    for volatile in (True, False) if what.upper else (False,):
        for method in methods or (by_fsconfig, by_short_names):
            try:
                return method(what, target, volatile)
            except OSError as error:
                failure = error
                if error.errno not in _UNKNOWN:
                    break
                if what.work:  # an attempt may have marked it as used
                    remove_tree(what.work)
                    os.mkdir(what.work)
    raise HostError(f"an overlay cannot be mounted: {failure.strerror if failure else ''}") from failure


def by_fsconfig(what: Overlay, target: str, volatile: bool) -> None:
    """Layer by layer with `lowerdir+` (Linux 6.8), which has no limit on the length of the whole."""
    if any(len(os.fsencode(path)) > _MAX_FS_STRING for path in (*what.lowers, what.upper, what.work)):
        raise OSError(errno.EINVAL, "a path is too long for fsconfig")
    fd = kernel.fs_open("overlay")
    try:
        kernel.fs_string(fd, "source", "jettison")
        for lower in reversed(what.lowers):
            kernel.fs_string(fd, "lowerdir+", lower)
        for key, value in _options(what, what.upper, what.work):
            kernel.fs_string(fd, key, value)
        for flag in _option_flags(what, volatile=volatile):
            kernel.fs_flag(fd, flag)
        kernel.fs_mount(fd, target, what.flags)
    finally:
        os.close(fd)


def by_short_names(what: Overlay, target: str, volatile: bool) -> None:
    """By mount(2), whose options are limited to a page: from a directory of one-number names, free of `:` and `,`."""
    os.makedirs(what.short, exist_ok=True)
    for number, lower in enumerate((what.upper, what.work, *reversed(what.lowers))):
        name = os.path.join(what.short, str(number))
        if lower and not os.path.lexists(name):
            os.symlink(lower, name)
    names = ":".join(str(number + 2) for number in range(len(what.lowers)))
    pairs = [("lowerdir", names), *_options(what, "0" if what.upper else "", "1")]
    words = [f"{key}={value}" for key, value in pairs] + _option_flags(what, volatile=volatile)
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(what.short)
        kernel.mount("jettison", target, "overlay", what.flags, ",".join(words))
    finally:
        os.fchdir(before)
        os.close(before)


def _options(what: Overlay, upper: str, work: str) -> list[tuple[str, str]]:
    return [*_PINNED[what.namespace], *([("upperdir", upper), ("workdir", work)] if upper else [])]


def _option_flags(what: Overlay, *, volatile: bool) -> list[str]:
    return ["userxattr"] * (what.namespace == "user") + ["volatile"] * volatile


def private_namespace(flags: int = 0) -> None:
    """A mount namespace of our own (and what else `flags` say), from which nothing comes out."""
    kernel.unshare(kernel.CLONE_NEWNS | flags)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


def bind(source: str, target: str, *, flags: int = 0, recursive: bool = False) -> None:
    """Show `source` at `target` too, with the mounts below it when `recursive`; `flags` are added to their own."""
    kernel.mount(source, target, None, kernel.MS_BIND | (kernel.MS_REC if recursive else 0))
    if flags:
        add_flags(target, flags)


def add_flags(target: str, flags: int) -> None:
    """Add flags to the mount at `target` and all below it; a namespace may not drop those that it inherited."""
    try:
        kernel.add_mount_flags(target, flags)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        for path in [target, *mounts_below(target)]:
            kernel.mount(None, path, None, kernel.MS_REMOUNT | kernel.MS_BIND | flags | _held_flags(path))


def _held_flags(path: str) -> int:
    # statvfs gives MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC by mount(2)'s own numbers, and the atime flags by others.
    held = os.statvfs(path).f_flag
    atime = (0x400, 0x800, 0x1000)  # ST_NOATIME, ST_NODIRATIME, ST_RELATIME
    as_mount = (1 << 10, 1 << 11, 1 << 21)
    return (held & 15) | sum(flag for bit, flag in zip(atime, as_mount, strict=True) if held & bit)


def mounts_below(path: str) -> list[str]:
    """Where mounts are below `path`, as /proc tells it."""
    prefix = path.rstrip("/") + "/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        points = [_unescape(line.split(" ", 5)[4]) for line in lines]
    return [point for point in points if point.startswith(prefix)]


def _unescape(text: str) -> str:
    for octal, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, char)
    return text
