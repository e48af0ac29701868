"""A program that runs another behind a filter: the system calls named are answered ENOSYS, as by an older kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {
    "mount_setattr": (442, 442),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "move_mount": (429, 429),
    "pivot_root": (155, 41),
    "openat2": (437, 437),
    "copy_file_range": (326, 285),
}
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def deny(names: list[str]) -> None:
    """Install the filter: it stays in every process that comes of this one. Needs CAP_SYS_ADMIN, so that setuid
    programs work behind it.
    """
    column = ("x86_64", "aarch64").index(os.uname().machine)
    program = [(_LOAD, 0, 0, 0)]
    for name in names:
        program += [(_JUMP_EQUAL, 0, 1, NUMBERS[name][column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    program.append((_RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, head, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter can be installed")


if __name__ == "__main__":
    deny(sys.argv[1].split(","))
    os.execvp(sys.argv[2], sys.argv[2:])
