"""What this machine allows: every tier tried, the one that is used, and what would raise it."""

from __future__ import annotations

import os

import msgspec

from jettison.app.session import Session
from jettison.base.errors import InternalError
from jettison.sandbox.client import UNPLACED, Keeper
from jettison.sandbox.spec import Examined, ExamineRequest


class TierLine(msgspec.Struct, frozen=True, kw_only=True):
    """One tier: does it work, why not, what would help (a command)."""

    name: str
    works: bool
    reason: str = ""
    remedy: str = ""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """`tier` is the one that builds use, "" where RUN works in none."""

    tier: str
    tiers: tuple[TierLine, ...]
    store: str
    kernel: str
    uid: int
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report for people."""
        found = [f"kernel {self.kernel}, uid {self.uid}", f"store: {self.store}", *self.notes, "", "isolation of RUN:"]
        for tier in self.tiers:
            mark = "works" if tier.works else "no"
            found.append(f"  {tier.name:<9} {mark:<6} {'(used)' if tier.name == self.tier else tier.reason}".rstrip())
            if tier.remedy and not tier.works and not self.tier:
                found.append(f"            to have it: {tier.remedy}")
        return [*found, "", *self._summary()]

    def _summary(self) -> list[str]:
        if self.tier:
            return [f"RUN works here, in tier {self.tier}."]
        return ["RUN does not work here. Dockerfiles without RUN need a tier too, for the owners of files."]


def examine(home: str | None = None) -> DoctorReport:
    """Try every tier, in processes that are gone afterwards. Raises HostError for a store that cannot be opened."""
    with Session.open(home) as session:
        root, notes = session.store.root, session.store.notes
    with Keeper.start(root, UNPLACED) as keeper:
        reply = keeper.ask(ExamineRequest(store_root=root))
    if not isinstance(reply, Examined):
        raise InternalError(f"the keeper answered {type(reply).__name__}")
    tiers = tuple(
        TierLine(name=report.name, works=report.works, reason=report.reason, remedy=report.remedy)
        for report in reply.reports
    )
    return DoctorReport(
        tier=next((tier.name for tier in tiers if tier.works), ""),
        tiers=tiers,
        store=root,
        kernel=os.uname().release,
        uid=os.getuid(),
        notes=notes,
    )
