"""Where a build reads from: the main context, the Dockerfile with its ignore file, the named contexts.

Reference §1.1 (which Dockerfile) and §1.10 (contexts, ignore files).
"""

from __future__ import annotations

import os

import msgspec

from jettison.app.request import BuildRequest
from jettison.base.errors import InputError
from jettison.base.span import Source
from jettison.planning.ops import CONTEXT
from jettison.sandbox.readable import Archive, Directory

MAX_DOCKERFILE_BYTES = 16 << 20
REMOTE_PREFIXES = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")
MAIN = "the build context"
IMAGE_PREFIXES = ("docker-image://", "oci-layout://")


Local = Directory | Archive


class Contexts(msgspec.Struct, frozen=True, kw_only=True):
    """What a build reads: the Dockerfile's text, the main context, and the named ones that are directories here.

    `scope` tells this project's builds from others'. `ignores` are the ignore files by context (the main one's under
    ops.CONTEXT), for messages that name their lines.
    """

    dockerfile: Source
    main: Local
    scope: str
    named: dict[str, Directory] = {}
    ignores: dict[str, Source] = {}


def is_remote(spec: str) -> bool:
    """Whether a context is fetched rather than read in place."""
    return spec.startswith(REMOTE_PREFIXES)


def open_local(request: BuildRequest) -> Contexts:
    """The contexts of a request whose main context is a directory here.

    Raises InputError for what is missing or no directory.
    """
    directory = _directory(request.context, MAIN)
    dockerfile, path = _dockerfile(request, directory)
    ignore = _ignore(directory, path)
    named, ignores = named_directories(request)
    return Contexts(
        dockerfile=dockerfile,
        main=Directory(directory, _patterns(ignore)),
        scope=directory,
        named=named,
        ignores=ignores if ignore is None else {**ignores, CONTEXT: ignore},
    )


def named_directories(request: BuildRequest) -> tuple[dict[str, Directory], dict[str, Source]]:
    """The named contexts that are directories here, and the ignore files of those that have one. Raises InputError."""
    found, ignores = {}, {}
    for name, spec in request.build_contexts.items():
        if not is_remote(spec) and not spec.startswith(IMAGE_PREFIXES):
            directory = _directory(spec, f"build context {name}")
            ignore = _ignore(directory, None)
            found[name] = Directory(directory, _patterns(ignore))
            if ignore is not None:
                ignores[name] = ignore
    return found, ignores


def _directory(path: str, what: str) -> str:
    if os.path.isdir(path):
        if not os.access(path, os.X_OK):
            hint = "`chmod a+rx` on it gives leave"
            raise InputError(f"{what} may not be entered: {path}: Permission denied", hint=hint)
        return os.path.realpath(path)
    if os.path.lexists(path):
        hint = f"name the directory, and the file with -f: jettison build -f {path} {os.path.dirname(path) or '.'}"
        raise InputError(f"{what} is not a directory: {path}", hint=hint)
    others = "a URL, or - for standard input" if what == MAIN else "docker-image://REF, oci-layout://DIR[:TAG] or a URL"
    raise InputError(f"{what} does not exist: {path}", hint=f"name a directory, {others}")


def _dockerfile(request: BuildRequest, directory: str) -> tuple[Source, str | None]:
    """The Dockerfile's text, and the path that it was read from (None for a text of the request's own)."""
    if request.dockerfile_text is not None:
        return Source(request.dockerfile or "Dockerfile", request.dockerfile_text), None
    if request.dockerfile is not None:
        path = request.dockerfile
        if not os.path.lexists(path) and os.path.isfile(os.path.join(directory, request.dockerfile)):
            path = os.path.join(directory, request.dockerfile)  # docker compose's habit: relative to the context
        return Source(request.dockerfile, text_of(path, request.dockerfile)), path
    for name in ("Dockerfile", "dockerfile"):
        path = os.path.join(directory, name)
        if os.path.lexists(path):
            return Source(name, text_of(path, name)), path
    raise no_dockerfile("Dockerfile", directory)


def no_dockerfile(name: str, place: str) -> InputError:
    """There is none of that name in `place`."""
    return InputError(
        f"failed to read dockerfile: open {name}: no such file or directory (in {place})",
        hint="write a Dockerfile there, or name one with -f",
    )


def text_of(path: str | int, shown: str) -> str:
    """The text of a Dockerfile or ignore file: of a path, or of a descriptor, which is closed. Raises InputError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_DOCKERFILE_BYTES + 1)
    except OSError as error:
        hint = "-f names a file, relative to the working directory"
        raise InputError(f"failed to read dockerfile: open {shown}: {error.strerror}", hint=hint) from None
    return decoded(data, shown)


def decoded(data: bytes, shown: str) -> str:
    """The bytes of a Dockerfile or ignore file as text. Raises InputError for what is none."""
    if len(data) > MAX_DOCKERFILE_BYTES:
        raise InputError(f"{shown} is larger than {MAX_DOCKERFILE_BYTES} bytes: is it a Dockerfile?")
    if b"\0" in data:
        hint = "it is UTF-16: save it as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "-f names the Dockerfile"
        raise InputError(f"{shown} is not a text file", hint=hint)
    return data.decode("utf-8", "surrogateescape")


def _ignore(directory: str, dockerfile: str | None) -> Source | None:
    """The ignore file: `<Dockerfile>.dockerignore` beside the Dockerfile wins over the context's own; never merged."""
    candidates = [f"{dockerfile}.dockerignore"] if dockerfile else []
    for path in [*candidates, os.path.join(directory, ".dockerignore")]:
        if os.path.isfile(path):
            return Source(os.path.basename(path), text_of(path, path))
    return None


def _patterns(source: Source | None) -> tuple[str, ...]:
    if source is None:
        return ()
    from jettison.syntax.ignore import parse_ignore

    return parse_ignore(source.text, source.name)
