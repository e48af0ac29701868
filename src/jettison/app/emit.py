"""Where a build's events meet: each gets its time, then goes to the listener and to the record, one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from jettison.record.model import AnyEvent, StepOutput, StepProgress

Listener = Callable[[AnyEvent], None]


class Emitter:
    """The build's `solve.ports.Emit`.

    A listener that raises is not called again; what it raised is kept in `listener_error`, for the build's end.
    """

    def __init__(self, listener: Listener | None, masked: tuple[str, ...] = ()) -> None:
        self._listener = listener
        self._masked = masked
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.listener_error: Exception | None = None
        self.events: list[AnyEvent] = []  # all but output and progress, which are unbounded

    def __call__(self, event: AnyEvent) -> None:
        """Take one event."""
        if isinstance(event, StepOutput) and self._masked:
            event = msgspec.structs.replace(event, text=mask(event.text, self._masked))
        with self._lock:
            placed = msgspec.structs.replace(event, at_ms=self.elapsed_ms())
            if not isinstance(placed, (StepOutput, StepProgress)):
                self.events.append(placed)
            self._tell(placed)

    def _tell(self, event: AnyEvent) -> None:
        if self._listener is None or self.listener_error is not None:
            return
        try:
            self._listener(event)
        except Exception as error:  # noqa: BLE001 - the caller's own code: it must not break a step
            self.listener_error = error

    def elapsed_ms(self) -> float:
        """Milliseconds since the build began."""
        return round((time.monotonic() - self._began) * 1000, 3)


def mask(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with every secret's value as `***` (reference §1.8: values given as env are masked in the log)."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text
