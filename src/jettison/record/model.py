"""The build record and the events that make it up. Fields are added, never renamed or reused; unknown ones are ignored.

Times are ms since the build began unless a name says otherwise. No secret's value ever stands here.
"""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import msgspec

SCHEMA = 1


class Event(msgspec.Struct, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """The root of all events, in the order in which they happened; `at_ms` counts from the build's start."""

    at_ms: float = 0.0


class BuildStarted(Event, frozen=True, kw_only=True):
    """`steps` are (id, display) in plan order, sources included."""

    steps: tuple[tuple[str, str], ...]
    tier: str = ""


class StepStarted(Event, frozen=True, kw_only=True):
    """`reason` says in one line why the step is not taken from the cache."""

    step: str
    reason: str = ""


class StepOutput(Event, frozen=True, kw_only=True):
    """One line (or 16 KiB of one) of a step's output. `stream` 1 is stdout, 2 stderr."""

    step: str
    stream: int
    text: str


class StepProgress(Event, frozen=True, kw_only=True):
    """Bytes done of a total (0: unknown) of something that a step does, e.g. one layer's download."""

    step: str
    what: str
    done_bytes: int
    total_bytes: int = 0


class StepCached(Event, frozen=True, kw_only=True):
    """`hit` says which key found it: definition, content or equal-bytes."""

    step: str
    hit: str


class StepFinished(Event, frozen=True, kw_only=True):
    step: str
    duration_ms: float


class StepFailed(Event, frozen=True, kw_only=True):
    step: str
    message: str


class Warned(Event, frozen=True, kw_only=True):
    """A warning for people, placed where it can be (`file:line`)."""

    message: str
    place: str = ""


class ExportStarted(Event, frozen=True, kw_only=True):
    what: str


class ExportFinished(Event, frozen=True, kw_only=True):
    what: str
    duration_ms: float


class BuildFinished(Event, frozen=True, kw_only=True):
    duration_ms: float
    error: str = ""


AnyEvent = (
    BuildStarted
    | StepStarted
    | StepOutput
    | StepProgress
    | StepCached
    | StepFinished
    | StepFailed
    | Warned
    | ExportStarted
    | ExportFinished
    | BuildFinished
)


class KeyPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """One named part of a key, so that a miss can say which part changed."""

    name: str
    value: str


class StepRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a build. `verdict`: ran, cached, failed, cancelled (another one failed, or the build was called off),
    or unneeded (nothing asked for it). `hit` is as in StepCached, `reason` says why it ran.
    """

    id: str
    display: str
    stage: str = ""
    place: str = ""
    inputs: tuple[str, ...] = ()
    verdict: str
    hit: str = ""
    reason: str = ""
    key: str = ""
    key_parts: tuple[KeyPart, ...] = ()
    duration_ms: float = 0.0
    layers: tuple[str, ...] = ()


class LayerRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One layer of the image. `step` "" is the base's."""

    diff_id: str
    step: str = ""
    digest: str = ""
    size_bytes: int = 0
    tar_bytes: int = 0


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image that the build made. `manifest_digest` is "", its size 0, while not every layer has a blob."""

    platform: str
    config_digest: str
    manifest_digest: str = ""
    manifest_size_bytes: int = 0
    layers: tuple[LayerRecord, ...] = ()
    names: tuple[str, ...] = ()


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One build. `started` is RFC 3339; `outcome` is done, failed or cancelled. `index_digest` is of the index of all
    platforms' images, "" where there is none or not every layer has a blob.
    """

    schema: int = SCHEMA
    id: str
    started: str
    duration_ms: float
    outcome: str
    error: str = ""
    target: str = ""
    platforms: tuple[str, ...] = ()
    tier: str = ""
    compressor: str = ""
    steps: tuple[StepRecord, ...] = ()
    images: tuple[ImageRecord, ...] = ()
    index_digest: str = ""
    index_size_bytes: int = 0
    warnings: tuple[str, ...] = ()
