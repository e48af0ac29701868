"""System calls that Python does not offer, by ctypes. Every one raises OSError with the kernel's errno.

Numbers are those of x86-64 and arm64; from 424 on every architecture has the same.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_MOVE: Final = 8192
MS_REC: Final = 16384
MS_PRIVATE: Final = 1 << 18
MS_STRICTATIME: Final = 1 << 24
MNT_DETACH: Final = 2

PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

_MACHINES = ("x86_64", "aarch64")
_OLD_NUMBERS = {"pivot_root": (155, 41), "capget": (125, 90), "capset": (126, 91)}
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 429, 430, 431, 432, 442
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR = {MS_RDONLY: 1, MS_NOSUID: 2, MS_NODEV: 4, MS_NOEXEC: 8}
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]


def _check(result: int, what: str | None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(number: int, *args: int | bytes | ctypes.Array[ctypes.c_char] | None, what: str | None = None) -> int:
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _check(_libc.syscall(ctypes.c_long(number), *words), what)


def _old_number(name: str) -> int:
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise OSError(38, f"{name} is not known on {machine}")  # ENOSYS
    return _OLD_NUMBERS[name][_MACHINES.index(machine)]


def unshare(flags: int) -> None:
    """Leave the namespaces of `flags` for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), None)


def return_to_own_pid_namespace() -> None:
    """After an unshare of CLONE_NEWPID and the fork it was for: what is forked now is a sibling again, and threads may
    be started. /proc must be that of this process's namespace.
    """
    fd = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(CLONE_NEWPID)), None)
    finally:
        os.close(fd)


def is_in_own_pid_namespace() -> bool:
    """Whether what is forked now is a sibling."""
    return os.readlink("/proc/self/ns/pid") == os.readlink("/proc/self/ns/pid_for_children")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount a filesystem. MS_BIND takes no other flags but MS_REC: they take a remount."""
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    _check(_libc.mount(words[0], words[1], words[2], flags, words[3]), target)


def umount(target: str, flags: int = 0) -> None:
    """Take the topmost mount at `target` away."""
    _check(_libc.umount2(ctypes.c_char_p(os.fsencode(target)), ctypes.c_int(flags)), target)


def pivot_root(new: str, old: str) -> None:
    """Make the mount at `new` the root of this mount namespace, and put what was at `old`."""
    _syscall(_old_number("pivot_root"), os.fsencode(new), os.fsencode(old), what=new)


def fs_open(kind: str) -> int:
    """A descriptor that configures a new filesystem of this kind (Linux 5.2)."""
    return _syscall(_FSOPEN, kind.encode(), _FSOPEN_CLOEXEC, what=kind)


def fs_string(fd: int, key: str, value: str) -> None:
    """Set an option. The kernel refuses values over 255 bytes."""
    _syscall(_FSCONFIG, fd, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0, what=f"{key}={value}")


def fs_flag(fd: int, key: str) -> None:
    """Set an option without a value."""
    _syscall(_FSCONFIG, fd, _FSCONFIG_SET_FLAG, key.encode(), None, 0, what=key)


def fs_mount(fd: int, target: str, flags: int = 0) -> None:
    """Make the configured filesystem and mount it at `target`; `flags` of MS_RDONLY, NOSUID, NODEV, NOEXEC."""
    _syscall(_FSCONFIG, fd, _FSCONFIG_CMD_CREATE, None, None, 0, what=target)
    mounted = _syscall(_FSMOUNT, fd, _FSMOUNT_CLOEXEC, _attributes(flags), what=target)
    try:
        _syscall(_MOVE_MOUNT, mounted, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH, what=target)
    finally:
        os.close(mounted)


def add_mount_flags(target: str, flags: int) -> None:
    """Add flags to the mount at `target` and to every mount below it (Linux 5.12)."""
    attributes = _attributes(flags).to_bytes(8, "little") + bytes(24)
    _syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, attributes, len(attributes), what=target)


def _attributes(flags: int) -> int:
    return sum(bit for flag, bit in _MOUNT_ATTR.items() if flags & flag)


def prctl(option: int, *args: int) -> int:
    """Ask or set something of this process; for the options that take numbers."""
    return _check(_libc.prctl(option, *args, *[0] * (4 - len(args))), None)


def permitted_capabilities() -> int:
    """The capabilities that this thread may use, as a mask."""
    header = _CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    words = ctypes.create_string_buffer(24)
    _syscall(_old_number("capget"), header, words)
    return int.from_bytes(words.raw[4:8], "little") | int.from_bytes(words.raw[16:20], "little") << 32


def set_capabilities(mask: int) -> None:
    """Make `mask` this thread's permitted and effective capabilities, with none inheritable."""
    header = _CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    low, high = (mask & 0xFFFFFFFF).to_bytes(4, "little"), (mask >> 32).to_bytes(4, "little")
    _syscall(_old_number("capset"), header, (low * 2 + bytes(4)) + (high * 2 + bytes(4)))


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, whose pid is `parent` (0 where it lies outside our pid namespace)."""
    import signal

    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGKILL)
