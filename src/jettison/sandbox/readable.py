"""What a step can read: a layer stack, a directory of the user, an archive that was unpacked.

A part of what the keeper is asked (`sandbox.spec`), and all of it that a build knows which asks nothing.
"""

from __future__ import annotations

import msgspec


class Tree(msgspec.Struct, frozen=True, tag=True):
    """A layer stack: snapshot directories, bottom first."""

    snapshots: tuple[str, ...]


class Directory(msgspec.Struct, frozen=True, tag=True):
    """A directory of the user (a build context): every owner is 0:0, and what `ignore` matches is not there."""

    root: str
    ignore: tuple[str, ...] = ()


class Archive(msgspec.Struct, frozen=True, tag=True):
    """What was unpacked of a context that came as an archive: a snapshot whose files belong to the driver's user.

    Owners, modes, devices and attributes stand in its manifest alone (`tree.disk.BytesAlone`).
    """

    snapshot: str

    @property
    def ignore(self) -> tuple[str, ...]:
        """No ignore file applies (reference §1.10)."""
        return ()


Readable = Tree | Directory | Archive
