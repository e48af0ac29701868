"""Events as plain lines: `#3 [build 2/4] RUN make`, then its output behind `#3`, then DONE, CACHED or ERROR."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from jettison.record import model


class Quiet:
    """Shows nothing."""

    streamed_output = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: model.AnyEvent) -> None:
        """Show nothing."""


class RawJson(Quiet):
    """Every event as one line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: model.AnyEvent) -> None:
        """Write one line."""
        from jettison.base.readable import readable_json

        print(readable_json(event).decode(), file=self._stream, flush=True)


class Plain(Quiet):
    """Numbered lines, each step's number given when it is first heard of."""

    streamed_output = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._display: dict[str, str] = {}
        self._number: dict[str, int] = {}
        self._started_ms: dict[str, float] = {}

    def __call__(self, event: model.AnyEvent) -> None:
        """Write the lines of one event."""
        for line in self._lines(event):
            print(line, file=self._stream)
        self._stream.flush()

    def _lines(self, event: model.AnyEvent) -> list[str]:
        match event:
            case model.BuildStarted():
                self._display = dict(event.steps)
                return []
            case model.StepStarted():
                self._started_ms[event.step] = event.at_ms
                return [*self._heading(event.step), *self._reason(event)]
            case model.StepOutput():
                seconds = (event.at_ms - self._started_ms.get(event.step, event.at_ms)) / 1000
                return [f"#{self._of(event.step)} {seconds:.3f} {event.text}"]
            case model.StepCached(hit="equal-bytes"):
                return [f"#{self._of(event.step)} equal bytes: what stands on it may be cached", ""]
            case model.StepCached():
                return [*self._heading(event.step), f"#{self._of(event.step)} CACHED{_how(event.hit)}", ""]
            case model.StepFinished():
                return [f"#{self._of(event.step)} DONE {event.duration_ms / 1000:.1f}s", ""]
            case model.StepFailed():
                return [f"#{self._of(event.step)} ERROR: {event.message}", ""]
            case _:
                return _general(event)

    def _reason(self, event: model.StepStarted) -> list[str]:
        return [f"#{self._of(event.step)} why: {event.reason}"] if event.reason else []

    def _heading(self, step: str) -> list[str]:
        return [] if step in self._number else [f"#{self._of(step)} {self._display.get(step, step)}"]

    def _of(self, step: str) -> int:
        return self._number.setdefault(step, len(self._number) + 1)


def _how(hit: str) -> str:
    """Which key hit: one of the two (docs/architecture.md)."""
    return f" ({hit})" if hit else ""


def _general(event: model.AnyEvent) -> list[str]:
    """The lines of events that belong to no step."""
    match event:
        case model.Warned():
            return [f"warning: {event.place + ': ' if event.place else ''}{event.message}"]
        case model.ExportFinished():
            return [f"{event.what} in {event.duration_ms / 1000:.1f}s"]
        case model.BuildFinished(error=""):
            return [f"done in {event.duration_ms / 1000:.2f}s"]
        case _:
            return []
