"""What a request is served with, and how a fault is told to the driver."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from jettison.base.errors import BY_NAME, HostError, JettisonError, full_store
from jettison.sandbox import spec
from jettison.sandbox.tier import Tier


class Desk(msgspec.Struct, frozen=True):
    """The tier, where frames go, and the descriptors that came along."""

    tier: Tier
    send: Callable[[spec.Reply], None]
    fds: tuple[int, ...] = ()


class Stopped(BaseException):
    """The asker hung up: whatever was begun is to be taken back."""


class Relayed(Exception):  # noqa: N818 - a reply on its way
    """A failure that another process of the request has told already."""

    def __init__(self, failed: spec.Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def failure(error: Exception) -> spec.Failed:
    """An exception as it is told to the driver."""
    if isinstance(error, Relayed):
        return error.failed
    if isinstance(error, JettisonError):
        kind = type(error).__name__ if type(error).__name__ in BY_NAME else "InternalError"
        hint = error.hint and _text(error.hint)
        return spec.Failed(kind=kind, message=_text(error.message), hint=hint, subject=_text(error.subject))
    if isinstance(error, OSError):
        return failure(host_error(error))
    import traceback

    hint = "please report this:\n" + "".join(traceback.format_exception(error))
    return spec.Failed(kind="InternalError", message=_text(f"{type(error).__name__}: {error}"), hint=_text(hint))


def host_error(error: OSError) -> HostError:
    """What the machine refused, in words, with the path."""
    path = error.filename2 or error.filename
    where = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
    full = full_store(error)
    if full is not None:
        return HostError(f"the disk is full: {where}", hint=full.hint) if where else full
    return HostError(f"{where + ': ' if where else ''}{error.strerror or error}")


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
