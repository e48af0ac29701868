"""Run a command where an emulator is registered: `emulated.py FOLDER RULE COMMAND [ARG...]`.

That is a user namespace of all ids with emulators of its own, which Linux has since 6.7: nothing of this machine
changes. Needs root. Exit status: the command's; 77 where the kernel cannot.
"""

from __future__ import annotations

import ctypes
import os
import sys

UNABLE = 77
_NEWUSER, _NEWNS = 0x10000000, 0x00020000


def main(folder: str, rule: str, *command: str) -> None:
    unshared, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(mapped[1])
        _enter(unshared[1], mapped[0])
        _register(folder, rule)
        os.execvp(command[0], command)
    os.close(unshared[1])
    os.close(mapped[0])
    if os.read(unshared[0], 1):
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
                file.write("0 0 4294967295")
        os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _enter(unshared: int, mapped: int) -> None:
    if ctypes.CDLL(None).unshare(_NEWUSER | _NEWNS):
        os._exit(UNABLE)
    os.write(unshared, b"x")
    os.read(mapped, 1)


def _register(folder: str, rule: str) -> None:
    at = os.path.join(folder, "binfmt")
    os.mkdir(at)
    if ctypes.CDLL(None).mount(b"binfmt_misc", at.encode(), b"binfmt_misc", 0, None):
        os._exit(UNABLE)
    with open(f"{at}/register", "w", encoding="ascii") as file:
        file.write(rule)


if __name__ == "__main__":
    main(*sys.argv[1:])
