"""Plain progress: the lines that people and scripts read."""

import io

from jettison.cli.show_plain import Plain, RawJson
from jettison.record import model

EVENTS = [
    model.BuildStarted(steps=(("a.1", "[build 1/2] RUN true"), ("a.2", "[build 2/2] RUN make"))),
    model.StepCached(step="a.1", hit="definition", at_ms=1),
    model.StepStarted(step="a.2", reason="Makefile changed", at_ms=10),
    model.StepOutput(step="a.2", stream=1, text="cc main.c", at_ms=1510),
    model.StepFinished(step="a.2", duration_ms=2000, at_ms=2010),
    model.Warned(message="look out", place="Dockerfile:3"),
    model.ExportFinished(what="wrote app.tar", duration_ms=300),
    model.BuildFinished(duration_ms=2400),
]

EXPECTED = """\
#1 [build 1/2] RUN true
#1 CACHED (definition)

#2 [build 2/2] RUN make
#2 why: Makefile changed
#2 1.500 cc main.c
#2 DONE 2.0s

warning: Dockerfile:3: look out
wrote app.tar in 0.3s
done in 2.40s
"""


def test_plain_lines():
    stream = io.StringIO()
    show = Plain(stream)
    for event in EVENTS:
        show(event)
    assert stream.getvalue() == EXPECTED


def test_a_content_hit_says_so_and_a_failure_is_an_error():
    stream = io.StringIO()
    show = Plain(stream)
    show(model.StepCached(step="x", hit="content"))
    show(model.StepStarted(step="y"))
    show(model.StepFailed(step="y", message="exit code: 2"))
    assert "#1 CACHED (content)" in stream.getvalue()
    assert "#2 ERROR: exit code: 2" in stream.getvalue()


def test_raw_json_is_one_event_a_line():
    stream = io.StringIO()
    show = RawJson(stream)
    for event in EVENTS:
        show(event)
    import msgspec

    lines = stream.getvalue().splitlines()
    assert [msgspec.json.decode(line, type=model.AnyEvent) for line in lines] == EVENTS
