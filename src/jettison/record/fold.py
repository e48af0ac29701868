"""Events folded into what became of each step: verdict, hit, reason and time. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jettison.record import model


class Fate(msgspec.Struct, frozen=True):
    """What became of a step. `verdict`: ran, cached, failed, cancelled (another one failed) or unneeded."""

    verdict: str = "unneeded"
    hit: str = ""
    reason: str = ""
    duration_ms: float = 0.0


def fates(events: Iterable[model.AnyEvent]) -> dict[str, Fate]:
    """The fate of every step that an event names."""
    found: dict[str, Fate] = {}
    for event in events:
        match event:
            case model.StepStarted():
                found[event.step] = Fate("failed", "", event.reason)
            case model.StepCached():
                before = found.get(event.step, Fate())
                found[event.step] = Fate("cached", event.hit, before.reason, before.duration_ms)
            case model.StepFinished():
                before = found.get(event.step, Fate())
                found[event.step] = Fate("ran", before.hit, before.reason, event.duration_ms)
            case model.StepFailed(message="cancelled"):
                found[event.step] = Fate("cancelled", "", found.get(event.step, Fate()).reason)
            case _:
                pass
    return found
