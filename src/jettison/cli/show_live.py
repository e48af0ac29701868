"""Events on a terminal: what runs now with its last lines and its time; what is done as one line each above it.

rich is imported when the first step runs: a build with nothing to do prints plain lines and never loads it.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from jettison.record import model

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live as RichLive

TAIL_LINES = 5


class Live:
    """The live view. Output of a step that fails is printed whole by the error, so only tails are shown here."""

    streamed_output = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._display: dict[str, str] = {}
        self._running: dict[str, _Running] = {}
        self._console: Console | None = None
        self._live: RichLive | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.clear()
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
            self._live.stop()

    def __call__(self, event: model.AnyEvent) -> None:
        """Show one event."""
        match event:
            case model.BuildStarted():
                self._display = dict(event.steps)
            case model.StepStarted():
                self._start(event)
            case model.StepOutput():
                self._running[event.step].take(event.text)
            case model.StepProgress() if event.step in self._running:
                self._running[event.step].progress = _progress(event)
            case model.StepCached(hit="equal-bytes"):
                self._say("cyan", "=", event.step, "equal bytes: what stands on it may be cached")
            case model.StepCached():
                self._running.pop(event.step, None)
                self._say("cyan", "=", event.step, f"cached, {event.hit}" if event.hit else "cached")
            case model.StepFinished():
                self._running.pop(event.step, None)
                self._say("green", "✓", event.step, f"{event.duration_ms / 1000:.1f}s")
            case model.StepFailed():
                self._running.pop(event.step, None)
                self._say("red", "✗", event.step, "failed")
            case model.Warned():
                self._print("yellow", f"! {event.place + ': ' if event.place else ''}{event.message}")
            case model.ExportFinished():
                self._print("green", f"✓ {event.what}  {event.duration_ms / 1000:.1f}s")
            case model.BuildFinished(error=""):
                self._print("bold", f"done in {event.duration_ms / 1000:.2f}s")
            case _:
                pass

    def _start(self, event: model.StepStarted) -> None:
        self._running[event.step] = _Running(self._display.get(event.step, event.step), event.reason)
        if self._live is None:
            from rich.console import Console
            from rich.live import Live as RichLive

            self._console = Console(file=self._stream, highlight=False)
            self._live = RichLive(
                console=self._console, get_renderable=self._picture, refresh_per_second=10, transient=True
            )
            self._live.start()

    def _say(self, style: str, mark: str, step: str, what: str) -> None:
        self._print(style, f"{mark} {self._display.get(step, step)}  {what}")

    def _print(self, style: str, text: str) -> None:
        if self._console is None:
            print(text, file=self._stream, flush=True)
        else:
            from rich.text import Text

            self._console.print(Text(text, style=style))

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        lines = [line for running in list(self._running.values()) for line in running.lines()]
        return Group(*(Text(text, style=style, no_wrap=True, overflow="ellipsis") for style, text in lines))


class _Running:
    """One step that runs: its heading, its clock and the last lines of its output."""

    def __init__(self, display: str, reason: str) -> None:
        self._display = display
        self._reason = reason
        self._since = time.monotonic()
        self._tail: list[str] = []
        self.progress = ""

    def take(self, text: str) -> None:
        self._tail = [*self._tail[1 - TAIL_LINES :], harmless(text)]

    def lines(self) -> list[tuple[str, str]]:
        """(style, text) of the picture's lines."""
        seconds = f"{time.monotonic() - self._since:.1f}s"
        heading = f"> {self._display}  {seconds} {self.progress}"
        why = [("dim", f"  why: {self._reason}")] if self._reason else []
        return [("bold", heading), *why, *(("dim", f"  | {line}") for line in self._tail)]


def harmless(text: str) -> str:
    """A line of a step's output as it looks at its end, without what would colour the screen or move on it."""
    from rich.text import Text

    ended = text.replace("\a", "\x1b\\")  # the bell ends a title, as the string terminator does, which rich knows
    plain = Text.from_ansi(ended.expandtabs()).plain
    return "".join(char for char in plain if char.isprintable())


def _progress(event: model.StepProgress) -> str:
    from jettison.cli.arguments import human_bytes

    total = f" of {human_bytes(event.total_bytes)}" if event.total_bytes else ""
    return f"{event.what} {human_bytes(event.done_bytes)}{total}"
