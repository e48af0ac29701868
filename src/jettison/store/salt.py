"""The store's salt: what makes hashes of secrets differ from those of any other store."""

from __future__ import annotations

import os

SALT_BYTES = 32


def salt(root: str) -> bytes:
    """The 32 bytes in the file `salt` of the store at `root`, made at random by whoever comes first. OSError."""
    path = os.path.join(root, "salt")
    found = _read(path)
    if len(found) != SALT_BYTES:  # none yet, or half of one after the power went
        _make(root, path, over=bool(found))
        found = _read(path)
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(SALT_BYTES + 1)
    except FileNotFoundError:
        return b""


def _make(root: str, path: str, *, over: bool) -> None:
    """Made aside and linked, so that of two processes both get the one that was first."""
    aside = os.path.join(root, "tmp", f"salt-{os.getpid()}-{os.urandom(4).hex()}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(SALT_BYTES))
        file.flush()
        os.fsync(file.fileno())
    if over:
        os.replace(aside, path)
        return
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(aside)
