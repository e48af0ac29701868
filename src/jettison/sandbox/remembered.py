"""Which isolation was found to work here, remembered in the store: trying takes longer than a small step.

It holds for the same boot, container, user, privileges and store, read from /proc: for anything else it is tried anew.
A forgotten or damaged note costs a trial; one that turned out wrong is forgotten by whoever finds that out.
"""

from __future__ import annotations

import os

import msgspec

from jettison.base.errors import HostError
from jettison.sandbox import probe, userns
from jettison.sandbox.tier import NAMES, Tier

NOTE = "isolation"  # in the store's root
_FORM = 1  # a change of what the probe tries raises it
_STATUS = (b"Uid:", b"Gid:", b"Groups:", b"Cap", b"NoNewPrivs:", b"Seccomp")
_SPACES = ("user", "mnt", "pid")


class _Note(msgspec.Struct, frozen=True):
    """What trying told, and where it holds. Maps of ids are not kept: they are made anew each time."""

    holds_for: tuple[str, ...]
    name: str
    overlay_namespace: str
    fresh_proc: bool
    network_namespace: bool


def recall(store_root: str, forced: str | None) -> Tier | None:
    """The tier that worked in these circumstances; None when none is known to."""
    try:
        with open(os.path.join(store_root, NOTE), "rb") as file:
            note = msgspec.json.decode(file.read(), type=_Note)
        if note.name not in NAMES or note.holds_for != _circumstances(store_root, forced):
            return None
        tier = probe.candidate(note.name)
    except (OSError, msgspec.MsgspecError, userns.Unmappable, HostError):
        return None
    return msgspec.structs.replace(
        tier,
        overlay_namespace=note.overlay_namespace,
        fresh_proc=note.fresh_proc,
        network_namespace=note.network_namespace,
    )


def remember(store_root: str, forced: str | None, tier: Tier) -> None:
    """Note that `tier` works; a store that cannot be written is left without."""
    aside = os.path.join(store_root, "tmp", f"{NOTE}-{os.urandom(6).hex()}")
    try:
        note = _Note(
            _circumstances(store_root, forced),
            tier.name,
            tier.overlay_namespace,
            tier.fresh_proc,
            tier.network_namespace,
        )
        with open(aside, "xb") as file:
            file.write(msgspec.json.encode(note))
        os.replace(aside, os.path.join(store_root, NOTE))
    except (OSError, UnicodeError):
        return


def forget(store_root: str) -> None:
    """Have the next keeper try again."""
    try:
        os.unlink(os.path.join(store_root, NOTE))
    except OSError:
        return


def _circumstances(store_root: str, forced: str | None) -> tuple[str, ...]:
    """What decides on what is allowed. Raises OSError where it cannot be read."""
    root = os.stat(store_root)
    status = [line for line in _read("/proc/self/status").splitlines() if line.startswith(_STATUS)]
    return (
        str(_FORM),
        forced or "",
        f"{root.st_dev}:{root.st_ino}",
        _read("/proc/sys/kernel/random/boot_id").decode().strip(),
        _first_process(),
        *(os.readlink(f"/proc/self/ns/{name}") for name in _SPACES),
        _profile(),
        b";".join(status).decode("utf-8", "replace"),
    )


def _first_process() -> str:
    """When the first process of our pid namespace began: a container's numbers are used again by the next one."""
    return _read("/proc/1/stat").rpartition(b")")[2].split()[19].decode()


def _profile() -> str:
    """The name of the security module's profile that confines us; "" without one."""
    try:
        return _read("/proc/self/attr/current").decode("utf-8", "replace").rstrip("\0\n")
    except OSError:
        return ""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
