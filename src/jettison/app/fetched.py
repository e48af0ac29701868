"""Contexts that are not a directory here: a tar or a Dockerfile on standard input, a git repository, an HTTP file.

Reference §1.10: no ignore file applies to them; a relative `-f` is a path inside, an absolute one is local. What a tar
says of owners and modes stays, as in a stage; a checkout is all 0:0.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import msgspec

from jettison.app.contexts import (
    MAX_DOCKERFILE_BYTES,
    Contexts,
    Local,
    decoded,
    named_directories,
    no_dockerfile,
    text_of,
)
from jettison.app.options import given_args
from jettison.app.request import BuildRequest
from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.base.errors import InputError, UsageError
from jettison.base.span import Source
from jettison.planning.ops import GitOp, HttpOp
from jettison.planning.remotes import go_bool
from jettison.sandbox.readable import Archive, Directory

SINGLE = "context"  # the name of a context that is one file from a server


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """A context that was brought here. `text`: it was itself a Dockerfile, with that text."""

    main: Local
    text: str | None = None


def open_fetched(request: BuildRequest, session: Session, secrets: Secrets, root: str) -> Contexts:
    """Bring the request's main context to `root`, where nothing is yet, and find its Dockerfile."""
    found = _from_stdin(request, session, root) if request.context == "-" else _bring(request, session, secrets, root)
    named, ignores = named_directories(request)
    return Contexts(
        dockerfile=_dockerfile(request, found),
        main=found.main,
        scope=request.context,
        named=named,
        ignores=ignores,
    )


def _bring(request: BuildRequest, session: Session, secrets: Secrets, root: str) -> Brought:
    from jettison.app.remote import context_op, fetch

    op = context_op(request.context)
    if isinstance(op, GitOp):
        if go_bool(given_args(request).get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")) is True:
            op = msgspec.structs.replace(op, keep_git_dir=True)
        os.mkdir(root)
        fetch(op, root, session, secrets, session.cancel)
        return Brought(main=Directory(root))
    return _from_url(session, secrets, op, root)


def _from_url(session: Session, secrets: Secrets, op: HttpOp, root: str) -> Brought:
    """A tar is unpacked; anything else is a Dockerfile, and the one file of the context."""
    from jettison.app.remote import fetch

    single = os.path.join(os.path.dirname(root), "single")
    os.mkdir(single)
    op = msgspec.structs.replace(op, filename=SINGLE)
    fetch(op, single, session, secrets, session.cancel)
    path = os.path.join(single, SINGLE)
    archive = _unpacked(path, root)
    return Brought(main=Directory(single), text=_bare(path)) if archive is None else Brought(main=archive)


def _from_stdin(request: BuildRequest, session: Session, root: str) -> Brought:
    """A tar (plain or compressed) is unpacked; anything else is a Dockerfile with an empty context."""
    with session.store.scratch() as aside:
        path = os.path.join(aside, "stream")
        _save(sys.stdin.buffer, path)
        try:
            archive = _unpacked(path, root)
            if archive is not None:
                return Brought(main=archive)
            if request.dockerfile is not None or request.dockerfile_text is not None:
                hint = "leave -f out, or send a tar"
                raise UsageError("the context is a Dockerfile, not a tar: -f cannot name another one", hint=hint)
            os.mkdir(root)
            return Brought(main=Directory(root), text=_bare(path))
        finally:
            os.unlink(path)


def _save(stream: BinaryIO, path: str) -> None:
    with open(path, "xb") as file:
        while piece := stream.read(1 << 20):
            file.write(piece)


def _unpacked(path: str, root: str) -> Archive | None:
    """Unpack the file at `path` to `root`, if it is a tar; None, and nothing made, when it is none."""
    from jettison.layer.unpack import unarchive
    from jettison.tree.disk import BytesAlone
    from jettison.tree.manifest import Head, write_head, write_rows
    from jettison.tree.row import FILE

    files = os.path.join(root, "files")
    os.makedirs(files)
    rows = unarchive(path, files, BytesAlone())
    if rows is None:
        os.rmdir(files)
        os.rmdir(root)
        return None
    for row in rows:
        if row.type == FILE and row.mode & 0o600 != 0o600:
            os.chmod(f"{files}/{row.path}", 0o600)
    write_rows(root, rows)
    write_head(root, Head())
    return Archive(root)


def _bare(path: str) -> str:
    with open(path, "rb") as file:
        data = file.read(MAX_DOCKERFILE_BYTES + 1)
    try:
        return decoded(data, "it")
    except InputError:
        hint = "send a tar (plain, or compressed by gzip, bzip2, xz or zstd), or a Dockerfile"
        raise InputError("what was sent as the context is neither a tar nor a Dockerfile", hint=hint) from None


def _dockerfile(request: BuildRequest, found: Brought) -> Source:
    """The text of the request's own, of the context itself, of a file in it, or of one that lies here."""
    name = request.dockerfile
    if request.dockerfile_text is not None:
        return Source(name or "Dockerfile", request.dockerfile_text)
    if found.text is not None:
        return Source("Dockerfile", found.text)
    if name is not None and os.path.isabs(name):
        return Source(name, text_of(name, name))
    for candidate in ("Dockerfile", "dockerfile") if name is None else (name,):
        text = _inside(found.main, candidate)
        if text is not None:
            return Source(candidate, text)
    raise no_dockerfile(name or "Dockerfile", request.context)


def _inside(main: Local, name: str) -> str | None:
    """The text of a file of the context; a symlink in it leads nowhere else."""
    from jettison.tree.row import FILE
    from jettison.tree.view import ArchiveView, DirectoryView, resolve

    view = DirectoryView(main.root) if isinstance(main, Directory) else ArchiveView((main.snapshot,))
    path = resolve(view, name)
    row = view.row(path)
    return None if row is None or row.type != FILE else text_of(view.open(path), name)
