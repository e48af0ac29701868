"""Contexts that are not a directory here: a tar or a Dockerfile on standard input, a git repository, an HTTP file.

Reference §1.10: no ignore file applies to them; a relative `-f` is a path inside, an absolute one is local.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import msgspec

from jettison.app.contexts import MAX_DOCKERFILE_BYTES
from jettison.app.options import given_args
from jettison.app.request import BuildRequest
from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.base.errors import InputError, UsageError
from jettison.planning.ops import GitOp, HttpOp
from jettison.planning.remotes import go_bool


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """A context that was brought here: its root, and the Dockerfile as the request has it from now on.

    `relative`: `dockerfile` is a path inside the root.
    """

    root: str
    dockerfile: str | None = None
    dockerfile_text: str | None = None
    relative: bool = False


def bring(request: BuildRequest, session: Session, secrets: Secrets, root: str) -> Brought:
    """Bring the request's main context to directory `root`, which is not there yet."""
    if request.context == "-":
        os.mkdir(root)
        return _from_stream(request, session, sys.stdin.buffer, root)
    from jettison.app.remote import context_op, fetch

    op = context_op(request.context)
    if isinstance(op, GitOp):
        if go_bool(given_args(request).get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "")) is True:
            op = msgspec.structs.replace(op, keep_git_dir=True)
        os.mkdir(root)
        fetch(op, root, session, secrets, session.cancel)
        return _placed(request, root)
    return _from_url(request, session, secrets, op, root)


def _from_url(request: BuildRequest, session: Session, secrets: Secrets, op: HttpOp, root: str) -> Brought:
    from jettison.app.remote import fetch

    with session.store.scratch() as aside:
        fetch(op, aside, session, secrets, session.cancel)
        path = os.path.join(aside, op.filename)
        os.mkdir(root)
        try:
            with open(path, "rb") as file:
                return _from_stream(request, session, file, root)
        finally:
            os.unlink(path)


def _from_stream(request: BuildRequest, session: Session, stream: BinaryIO, root: str) -> Brought:
    """A tar (plain or compressed) is unpacked; anything else is a Dockerfile with an empty context."""
    with session.store.scratch() as aside:
        path = os.path.join(aside, "stream")
        _save(stream, path)
        try:
            if _unpacked(path, root):
                return _placed(request, root)
            return _bare(request, path, root)
        finally:
            os.unlink(path)


def _save(stream: BinaryIO, path: str) -> None:
    with open(path, "xb") as file:
        while piece := stream.read(1 << 20):
            file.write(piece)


def _unpacked(path: str, root: str) -> bool:
    """Unpack the file at `path` into `root` if it is a tar. Owners are lost where we may not give them."""
    from jettison.layer.unpack import unarchive
    from jettison.tree.disk import Disk

    return unarchive(path, root, Disk("user")) is not None


def _bare(request: BuildRequest, path: str, root: str) -> Brought:
    if request.dockerfile is not None or request.dockerfile_text is not None:
        raise UsageError(
            "the context is a Dockerfile, not a tar: -f cannot name another one", hint="leave -f out, or send a tar"
        )
    with open(path, "rb") as file:
        data = file.read(MAX_DOCKERFILE_BYTES + 1)
    if len(data) > MAX_DOCKERFILE_BYTES:
        raise InputError("what was sent as context is neither a tar nor a Dockerfile: it is too long for one")
    return Brought(root=root, dockerfile_text=data.decode("utf-8", "surrogateescape"))


def _placed(request: BuildRequest, root: str) -> Brought:
    dockerfile = request.dockerfile
    relative = dockerfile is not None and not os.path.isabs(dockerfile)
    return Brought(root=root, dockerfile=dockerfile, dockerfile_text=request.dockerfile_text, relative=relative)
