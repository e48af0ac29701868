"""A keeper that runs nothing: requests are answered by a function, in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jettison.base import errors
from jettison.sandbox import spec
from jettison.sandbox.client import Cancel, OnFrame
from jettison.sandbox.tier import ROOT, Tier

Answer = Callable[[spec.AnyRequest], Iterator[spec.AnyReply]]


class FakeKeeper:
    """`answer` yields the frames of a request, the last reply at the end; what it raises is raised by `ask`.

    `asked` are all requests so far. What a request's last frame is not yielded for, the worker died over.
    """

    def __init__(self, answer: Answer) -> None:
        self.asked: list[spec.AnyRequest] = []
        self.tier = Tier(name=ROOT, overlay_namespace="trusted")
        self._answer = answer
        self._closed = False

    def ask(
        self,
        request: spec.AnyRequest,
        on_frame: OnFrame | None = None,
        fds: tuple[int, ...] = (),
        cancel: Cancel | None = None,
    ) -> spec.AnyReply:
        """See `jettison.sandbox.client.Keeper.ask`."""
        del fds
        if self._closed:
            raise errors.HostError("the keeper process has ended")
        self.asked.append(request)
        last: spec.AnyReply | None = None
        for frame in self._answer(request):
            if cancel is not None and cancel.is_set():
                raise errors.Cancelled("cancelled")
            if not isinstance(frame, spec.Output | spec.Note):
                last = frame
            elif on_frame is not None:
                on_frame(frame)
        if cancel is not None and cancel.is_set():
            raise errors.Cancelled("cancelled")
        if last is None:
            raise errors.HostError(f"the process that did a {type(request).__name__} ended unexpectedly")
        if isinstance(last, spec.Failed):
            raise errors.BY_NAME[last.kind](last.message, hint=last.hint)
        return last

    def foresee_archives(self) -> None:
        """See `jettison.sandbox.client.Keeper.foresee_archives`."""

    def close(self) -> None:
        """See `jettison.sandbox.client.Keeper.close`."""
        self._closed = True
