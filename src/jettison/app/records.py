"""The record of a build: made of its plans, what became of their steps, and its events; kept in the store as JSON."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import msgspec

from jettison.app.outputs import rfc3339
from jettison.app.session import Session
from jettison.base.readable import readable_json
from jettison.planning.graph import Plan, Step
from jettison.record.fold import Fate, fates
from jettison.record.model import AnyEvent, BuildRecord, ImageRecord, StepRecord, Warned
from jettison.solve.run import SolveOutcome
from jettison.store.store import Store

_NO_OUTCOME = SolveOutcome(results={}, keys={}, verdicts={})


def new_build_id(now_ns: int | None = None) -> str:
    """An id that sorts by time, to a microsecond, and is nobody else's. `now_ns`: since the epoch; None: now."""
    second, part_ns = divmod(time.time_ns() if now_ns is None else now_ns, 10**9)
    day = time.strftime("%Y%m%d-%H%M%S", time.gmtime(second))
    return f"{day}-{(part_ns << 20) // 10**9:05x}{os.urandom(2).hex()[:3]}"


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """How a build ended."""

    id: str
    started_s: float
    duration_ms: float
    outcome: str
    error: str = ""
    images: tuple[ImageRecord, ...] = ()
    index_digest: str = ""
    index_size_bytes: int = 0


def build_record(
    end: Finished,
    plans: Sequence[Plan],
    outcome: SolveOutcome | None,
    events: Sequence[AnyEvent],
    session: Session,
) -> BuildRecord:
    """The record of one build. `outcome` is that of the one solve of all plans, None when it failed."""
    folded = fates(events)
    planned = {step.id: step for plan in plans for step in plan.steps}
    steps = [_step(step, outcome or _NO_OUTCOME, folded.get(step.id, Fate())) for step in planned.values()]
    return BuildRecord(
        id=end.id,
        started=rfc3339(int(end.started_s)),
        duration_ms=end.duration_ms,
        outcome=end.outcome,
        error=end.error,
        target=plans[0].target if plans else "",
        platforms=tuple(plan.platform for plan in plans),
        tier=session.tier() if end.outcome == "done" else "",
        steps=tuple(steps),
        images=end.images,
        index_digest=end.index_digest,
        index_size_bytes=end.index_size_bytes,
        warnings=tuple(event.message for event in events if isinstance(event, Warned)),
    )


def _step(step: Step, outcome: SolveOutcome, fate: Fate) -> StepRecord:
    key = outcome.keys.get(step.id)
    result = outcome.results.get(step.id)
    return StepRecord(
        id=step.id,
        display=step.display,
        stage=step.stage,
        place=str(step.location or ""),
        inputs=step.inputs,
        verdict=fate.verdict,
        hit=fate.hit,
        reason=fate.reason,
        key=key.digest if key else "",
        key_parts=key.parts if key else (),
        duration_ms=fate.duration_ms,
        layers=result.added if result else (),
    )


def write_record(store: Store, record: BuildRecord) -> str:
    """Keep the record; its path."""
    return store.records.write(record.id, encode_record(record))


def encode_record(record: BuildRecord) -> bytes:
    """The record as JSON. Paths that are not UTF-8 are written with replacement characters."""
    return readable_json(record)
