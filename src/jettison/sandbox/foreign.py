"""Programs for other processors: the kernel has an emulator registered for them (binfmt_misc), or refuses them."""

from __future__ import annotations

import errno
import os
import struct

from jettison.base.errors import HostError

# The machines of ELF headers, by number and (for those that come in several) class and byte order.
_MACHINES = {
    3: "linux/386",
    8: "linux/mips",
    20: "linux/ppc",
    21: "linux/ppc64",
    22: "linux/s390x",
    40: "linux/arm",
    43: "linux/sparc64",
    62: "linux/amd64",
    183: "linux/arm64",
    243: "linux/riscv64",
    258: "linux/loong64",
}
_OWN = {  # what a machine runs by itself, as uname names it
    "aarch64": (183, 40),
    "loongarch64": (258,),
    "ppc64le": (21,),
    "riscv64": (243,),
    "s390x": (22,),
    "x86_64": (62, 3),
}
_MOST_LINKS = 5  # of `#!` lines: the kernel's own limit
_INSTALL = "apt-get install qemu-user-static binfmt-support"


def fault(program: str, error: OSError) -> HostError | None:
    """What to say instead of `error`, which execve gave for `program`, when the processor is why; else None."""
    if error.errno not in (errno.ENOEXEC, errno.ENOENT):
        return None
    found = _machine(program)
    own = os.uname().machine
    if found is None or found[0] in _OWN.get(own, ()):
        return None
    path, platform = found[1:]
    if error.errno == errno.ENOENT:  # the file is there: it is the emulator that is not
        return HostError(
            f"exec {path}: the emulator that this machine has registered for {platform} is not in the image",
            hint=f"register it with the flag F, which opens it beforehand: {_INSTALL}",
        )
    return HostError(
        f"exec {path}: exec format error: a program for {platform}, and this machine ({own}) has no emulator for those",
        hint=f"register one: {_INSTALL}; a cross compiler needs none: FROM --platform=$BUILDPLATFORM",
    )


def _machine(program: str) -> tuple[int, str, str] | None:
    """The ELF machine that runs a program, the file that says so (a script's interpreter), and the platform's name."""
    path = program
    for _ in range(_MOST_LINKS):
        try:
            with open(path, "rb") as file:
                head = file.read(256)
        except OSError:
            return None
        if not head.startswith(b"#!"):
            return _elf(path, head)
        words = head[2:].split(b"\n", 1)[0].split()
        if not words:
            return None
        path = os.fsdecode(words[0])
    return None


def _elf(path: str, head: bytes) -> tuple[int, str, str] | None:
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return None
    little = head[5] != 2
    machine: int = struct.unpack_from("<H" if little else ">H", head, 18)[0]
    name = _MACHINES.get(machine, f"another processor (ELF machine {machine})")
    if machine == 8:
        name += ("64" if head[4] == 2 else "") + ("le" if little else "")
    elif machine == 21 and little:
        name += "le"
    return machine, path, name
