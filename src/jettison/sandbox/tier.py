"""An isolation tier as a value: what this machine was found to allow, by trying. Strategies are chosen by its name."""

from __future__ import annotations

import msgspec

ROOT = "root"
ROOTLESS = "rootless"
NAMES = (ROOT, ROOTLESS)  # in the order in which they are tried


class IdRange(msgspec.Struct, frozen=True, array_like=True):
    """`count` ids from `inside` on (as the namespace names them) are those from `outside` on of its parent."""

    inside: int
    outside: int
    count: int


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """How steps are isolated here.

    `overlay_namespace` is the xattr namespace of overlay marks: trusted or user. `fresh_proc`: a new /proc can be
    mounted, so that steps get a pid namespace; else the outer /proc is bound and there is none. `network_namespace`:
    `--network=none` can be honoured. `uid_map` and `gid_map` are of the user namespace that the keeper enters (empty:
    none); `map_by_helper`: newuidmap and newgidmap write them, else we do.
    """

    name: str
    overlay_namespace: str
    fresh_proc: bool = True
    network_namespace: bool = True
    uid_map: tuple[IdRange, ...] = ()
    gid_map: tuple[IdRange, ...] = ()
    map_by_helper: bool = False


class TierReport(msgspec.Struct, frozen=True, kw_only=True):
    """What trying one tier gave. `tier` is None where it does not work: `reason` says why, `remedy` what would help."""

    name: str
    tier: Tier | None = None
    reason: str = ""
    remedy: str = ""

    @property
    def works(self) -> bool:
        """Whether steps can run in this tier here."""
        return self.tier is not None
