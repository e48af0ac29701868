"""What is shown of past builds: the texts are golden files; which build is meant by what."""

import pytest

from golden import Golden
from jettison.record.model import BuildRecord, ImageRecord, StepRecord
from jettison.report.history import build_text, find_build, history_text, took

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


def step(number: int, display: str, verdict: str, **more: object) -> StepRecord:
    return StepRecord(
        id=f"s.{number}", display=display, stage="build", place=f"Dockerfile:{number}", verdict=verdict, **more
    )


STEPS = (
    step(1, "[build 1/8] FROM busybox", "cached", hit="definition"),
    StepRecord(id="local", display="[internal] load build context", verdict="unneeded"),
    step(2, "[build 2/8] COPY package.json .", "ran", reason="package.json changed", duration_ms=12.3),
    step(3, "[build 3/8] RUN npm ci", "ran", reason='NODE_ENV changed from "a" to "b"', duration_ms=61_500),
    step(4, "[build 4/8] RUN " + "x" * 100, "cached", hit="equal-bytes", reason="user changed", duration_ms=2500),
    step(5, "[build 5/8] COPY src src", "cached", hit="content", reason=""),
    step(6, "[build 6/8] RUN evil \x1b[31m\r", "failed", reason="first build of this step"),
    step(7, "[build 7/8] RUN later", "unneeded"),
)  # fmt: skip


def build(number: int, **more: object) -> BuildRecord:
    fields = {"started": f"2026-11-24T10:00:0{number}Z", "duration_ms": 64_000.0 + number, "outcome": "done", **more}
    return BuildRecord(id=f"20261124-10000{number}-{number:08x}", **fields)


FAILED = build(3, steps=STEPS, outcome="failed", error="exit code: 2\n  last line")
TAGGED = build(
    2,
    steps=STEPS[:3],
    images=(
        ImageRecord(
            platform="linux/amd64",
            config_digest=DIGEST,
            manifest_digest=OTHER,
            names=("docker.io/library/app:latest", "ghcr.io/me/app:1"),
        ),
    ),
)
NAMELESS = build(
    1, images=(ImageRecord(platform="linux/arm64", config_digest=OTHER),), index_digest="sha256:" + "e" * 64
)
BUILDS = (FAILED, TAGGED, NAMELESS)


def test_the_list(golden: Golden):
    golden.check("report/history.txt", history_text(BUILDS))
    assert history_text(()) == "BUILD  STARTED  TOOK  RAN  CACHED  OUTCOME  IMAGE\n"


def test_one_build(golden: Golden):
    golden.check("report/history-build.txt", build_text(TAGGED))
    golden.check("report/history-why.txt", build_text(FAILED, why=True))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FAILED.id, [FAILED]),
        ("20261124-100002", [TAGGED]),
        ("20261124", [FAILED, TAGGED, NAMELESS]),
        ("2026", []),
        ("app", [TAGGED]),
        ("app:latest", [TAGGED]),
        ("app:2", []),
        ("ghcr.io/me/app:1", [TAGGED]),
        (DIGEST, [TAGGED]),
        ("abababab", [TAGGED]),
        ("ababa", []),
        ("sha256:cdcdcd", [TAGGED, NAMELESS]),
        ("eeeeeeeee", [NAMELESS]),
        ("NO such:thing", []),
    ],
)
def test_which_build_is_meant(text: str, found: list[BuildRecord]):
    assert find_build(BUILDS, text) == found


@pytest.mark.parametrize(("ms", "text"), [(0.4, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (125_000, "2 min 5 s")])
def test_spans_of_time(ms: float, text: str):
    assert took(ms) == text
