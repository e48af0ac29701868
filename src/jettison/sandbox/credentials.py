"""Who a step is: the ids and capabilities that it gets, and nothing more. The last thing before exec."""

from __future__ import annotations

import os

from jettison.sandbox import syscalls

# Docker's defaults, by number: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW
# SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP.
DEFAULT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
_LAST_CAPABILITY = 63


def become(uid: int, gid: int, groups: tuple[int, ...], *, all_capabilities: bool = False) -> None:
    """Take these ids and at most the default capabilities; a uid other than 0 keeps none but in the bounding set."""
    held = syscalls.permitted_capabilities()
    keep = held if all_capabilities else held & sum(1 << number for number in DEFAULT_CAPABILITIES)
    if not all_capabilities:
        _bound(keep)
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    syscalls.set_capabilities(keep)
    # The primary group stands among the others too: what a process gains by a setgid program it could else lose
    # (CVE-2022-36109, and what BuildKit and buildah do since).
    os.setgroups(list(dict.fromkeys((gid, *groups))))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)  # the kernel clears what is permitted and effective, unless uid is 0


def _bound(keep: int) -> None:
    """Drop everything else from the bounding set: no program of the image can gain it."""
    for number in range(_LAST_CAPABILITY + 1):
        if keep >> number & 1:
            continue
        try:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)
        except OSError:  # beyond the last that this kernel knows
            return
