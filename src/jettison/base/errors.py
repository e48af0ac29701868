"""The one tree of errors. Each says what happened, where, and what to do; the command line prints `str(error)`.

JettisonError                 exit code
├── UsageError                2    the command line, or an API request, is wrong
├── DockerfileError           3    the Dockerfile is wrong (syntax or meaning); holds one or more diagnostics
├── StepError                 1    a step ran and failed
├── InputError                4    something that the build reads is missing or wrong: context, base, secret, archive
├── NetworkError              5    a registry or another server did not give what was asked
├── HostError                 6    this machine cannot do it: isolation, disk, permissions, the store
├── InternalError             70   a fault of jettison's own
└── Cancelled                 130  the caller asked to stop
"""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import errno

import msgspec

from jettison.base.span import Source, Span, excerpt, place


class Location(msgspec.Struct, frozen=True):
    """A span together with the text that it is a span of."""

    source: Source
    span: Span

    def __str__(self) -> str:
        return place(self.source, self.span)


class JettisonError(Exception):
    """The root of all errors that jettison raises on purpose.

    `message` says what happened, `hint` what to do about it, `location` where. `exit_code` is what the command line
    returns for it (docs/exit-codes.md). `subject` is the path that it is about, "" for none: who knows where the
    Dockerfile names it can show just that word.
    """

    exit_code = 70
    subject = ""

    def __init__(self, message: str, *, hint: str | None = None, location: Location | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.location = location

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint, self.location))

    def at(self, location: Location | None) -> "JettisonError":
        """This error, placed: the location is attached once, by the first who knows it."""
        if self.location is None:
            self.location = location
        return self

    def __str__(self) -> str:
        return render(self.message, self.location, self.hint)


def _rebuild(kind: type[JettisonError], message: str, hint: str | None, location: Location | None) -> JettisonError:
    return kind(message, hint=hint, location=location)


def render(message: str, location: Location | None, hint: str | None) -> str:
    """One message as people read it: place and text, the source lines with carets, then the hint."""
    parts = [f"{location}: {message}" if location else message]
    if location:
        parts.append(excerpt(location.source, location.span))
    if hint:
        parts.append(f"hint: {hint}")
    return "\n".join(parts)


class UsageError(JettisonError):
    """The command line or a request is wrong."""

    exit_code = 2


class Diagnostic(msgspec.Struct, frozen=True):
    """One thing that is wrong in a Dockerfile."""

    message: str
    span: Span
    hint: str | None = None


MAX_SHOWN = 20  # of what is wrong in one Dockerfile: a file that is none has something in every line


class DockerfileError(JettisonError):
    """A Dockerfile is wrong. All that was found is in `diagnostics`, in order of place; `source` is the text."""

    exit_code = 3

    def __init__(self, source: Source, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = diagnostics[0]
        super().__init__(first.message, hint=first.hint, location=Location(source, first.span))
        self.source = source
        self.diagnostics = diagnostics

    def __reduce__(self) -> tuple[object, ...]:
        return (DockerfileError, (self.source, self.diagnostics))

    def __str__(self) -> str:
        shown = [render(d.message, Location(self.source, d.span), d.hint) for d in self.diagnostics[:MAX_SHOWN]]
        if len(self.diagnostics) > MAX_SHOWN:
            shown.append(f"and {len(self.diagnostics) - MAX_SHOWN} more like these")
        return "\n\n".join(shown)


class StepError(JettisonError):
    """A step ran and failed. `exit_code_of_process` is the process's own; `tail` its last lines of output."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        location: Location | None = None,
        process_exit_code: int = 1,
        tail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, location=location)
        self.process_exit_code = process_exit_code
        self.tail = tail

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_step, (self.message, self.hint, self.location, self.process_exit_code, self.tail))


def _rebuild_step(
    message: str, hint: str | None, location: Location | None, process_exit_code: int, tail: tuple[str, ...]
) -> StepError:
    return StepError(message, hint=hint, location=location, process_exit_code=process_exit_code, tail=tail)


class InputError(JettisonError):
    """Something that the build reads is missing, unreadable or not what it should be."""

    exit_code = 4


class NetworkError(JettisonError):
    """A registry or another server refused, failed or could not be reached."""

    exit_code = 5


class HostError(JettisonError):
    """This machine cannot do what is asked: no isolation tier, no space, no permission, a damaged store."""

    exit_code = 6


MAKE_ROOM = "make room there, or let JETTISON_HOME name a directory on another disk"


def refused(what: str, error: OSError) -> HostError:
    """The HostError of what the machine refused: `cannot write PATH: Permission denied`. A full disk has a hint."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HostError(f"{what}: {error.strerror or error}", hint="the disk is full: make room there" if full else None)


def full_store(error: OSError) -> HostError | None:
    """The HostError of a full disk, for what is written into the store; None of any other refusal."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return HostError("the store's disk is full", hint=MAKE_ROOM) if full else None


class InternalError(JettisonError):
    """A fault of jettison's own."""

    exit_code = 70


class Cancelled(JettisonError):  # noqa: N818 - the field's word for it
    """The caller asked to stop; everything that ran has been ended."""

    exit_code = 130


BY_NAME: dict[str, type[JettisonError]] = {
    kind.__name__: kind for kind in (UsageError, InputError, NetworkError, HostError, InternalError, Cancelled)
}
