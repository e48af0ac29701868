"""Events folded to fates."""

from jettison.record import model
from jettison.record.fold import Fate, fates


def test_each_step_has_the_fate_that_its_events_tell():
    events = [
        model.StepStarted(step="ran", reason="new"),
        model.StepStarted(step="broke", reason="new"),
        model.StepCached(step="hit", hit="content"),
        model.StepFinished(step="ran", duration_ms=5),
        model.StepFailed(step="broke", message="m"),
        model.StepStarted(step="stopped", reason="new"),
        model.StepFailed(step="stopped", message="cancelled"),
    ]
    assert fates(events) == {
        "ran": Fate("ran", "", "new", 5),
        "broke": Fate("failed", "", "new"),
        "stopped": Fate("cancelled", "", "new"),
        "hit": Fate("cached", "content"),
    }


def test_an_equal_earlier_result_keeps_the_reason_of_its_run():
    events = [model.StepStarted(step="s", reason="a.c changed"), model.StepCached(step="s", hit="equal-bytes")]
    assert fates(events)["s"] == Fate("cached", "equal-bytes", "a.c changed")
