"""Past builds as text: a list of them, and one with its steps and why each ran or did not. Pure: it reads records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jettison.base.digest import is_digest
from jettison.oci.reference import is_reference, parse_reference
from jettison.record.model import BuildRecord, ImageRecord, StepRecord

ID_DIGITS = 6  # at least, where an image is named by the beginning of a digest
EQUAL_BYTES = "equal-bytes"
_SHORT = 12
_SHOWN_STEP = 60  # characters of a step's instruction where its reason stands behind it


def history_text(builds: Sequence[BuildRecord]) -> str:
    """The list: one line a build, in the order given."""
    rows = [("BUILD", "STARTED", "TOOK", "RAN", "CACHED", "OUTCOME", "IMAGE")]
    rows += [
        (
            build.id,
            build.started.replace("T", " ").removesuffix("Z"),
            took(build.duration_ms),
            str(sum(map(has_run, build.steps))),
            str(sum(map(has_hit, build.steps))),
            build.outcome,
            ", ".join(_image(image) for image in build.images),
        )
        for build in builds
    ]
    return "\n".join(_table(rows)) + "\n"


def build_text(build: BuildRecord, *, why: bool = False) -> str:
    """One build: what it was, what it made, and a line a step. `why`: each line says what changed, or which key hit."""
    lines = [f"build {build.id}: {build.outcome} in {took(build.duration_ms)}, started {build.started}"]
    lines += [f"error: {line}" for line in build.error.splitlines()[:1]]
    lines += [f"image {image.platform} {image.config_digest}{_named(image)}" for image in build.images]
    lines.append(f"steps: {sum(map(has_run, build.steps))} ran, {sum(map(has_hit, build.steps))} cached")
    rows = [("STAGE", "PLACE", "VERDICT", "TIME", "STEP", *(("WHY",) if why else ()))]
    rows += [_step(step, why=why) for step in build.steps if step.place or step.verdict != "unneeded"]
    return "\n".join(map(_plain, [*lines, ""])) + "\n" + "\n".join(_table(rows)) + "\n"


def why_text(step: StepRecord) -> str:
    """In one line: what changed for a step that ran, which key hit for one that did not."""
    if has_hit(step):
        return f"{step.hit or 'definition'} key hit"
    if step.verdict == "unneeded":
        return "nothing asked for it"
    reason = step.reason or "it had no result"
    return f"{reason}; it left equal bytes" if step.hit == EQUAL_BYTES else reason


def has_run(step: StepRecord) -> bool:
    """Whether the step ran to its end; one that left equal bytes did, too: for what stands on it, it is cached."""
    return step.verdict == "ran" or (step.verdict == "cached" and step.hit == EQUAL_BYTES)


def has_hit(step: StepRecord) -> bool:
    """Whether a key hit, so that the step need not run."""
    return step.verdict == "cached" and step.hit != EQUAL_BYTES


def find_build(builds: Iterable[BuildRecord], text: str) -> list[BuildRecord]:
    """The builds that a person means, in the order given: the one with that id, else those whose ids begin so, else
    those that made an image of that name or digest.
    """
    known = list(builds)
    for means in (_has_id, _begins_so, _made):
        found = [build for build in known if means(build, text)]
        if found:
            return found
    return []


def took(ms: float) -> str:
    """A span of time as people read it: 12 ms, 3.4 s, 2 min 5 s."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms // 60_000:.0f} min {ms % 60_000 / 1000:.0f} s"


def _has_id(build: BuildRecord, text: str) -> bool:
    return build.id == text


def _begins_so(build: BuildRecord, text: str) -> bool:
    return len(text) >= ID_DIGITS and build.id.startswith(text)


def _made(build: BuildRecord, text: str) -> bool:
    digests = (build.index_digest, *(d for i in build.images for d in (i.config_digest, i.manifest_digest)))
    digits = text.removeprefix("sha256:")
    if len(digits) >= ID_DIGITS and any(each.removeprefix("sha256:").startswith(digits) for each in digests if each):
        return True
    name = str(parse_reference(text)) if is_reference(text) else text
    return any(name in image.names for image in build.images)


def _image(image: ImageRecord) -> str:
    short = image.config_digest.removeprefix("sha256:")[:_SHORT]
    names = [_familiar(name) for name in image.names]
    return f"{names[0]} {short}" if names else short


def _named(image: ImageRecord) -> str:
    names = ", ".join(map(_familiar, image.names))
    return f" ({names})" if names else ""


def _familiar(name: str) -> str:
    return parse_reference(name).familiar if is_reference(name) and not is_digest(name) else name


def _step(step: StepRecord, *, why: bool) -> tuple[str, ...]:
    verdict = "ran" if has_run(step) else "not needed" if step.verdict == "unneeded" else step.verdict
    time = took(step.duration_ms) if step.duration_ms else ""
    shown = (step.stage, step.place, verdict, time)
    return (*shown, _cut(step.display), why_text(step)) if why else (*shown, step.display)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_STEP else text[: _SHOWN_STEP - 1] + "…"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell, the last one as it is."""
    cells = [tuple(map(_plain, row)) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    return ["  ".join((*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1])).rstrip() for row in cells]


def _plain(text: str) -> str:
    """`text` without what would speak to the terminal: a record tells of Dockerfiles, which come from anywhere."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
