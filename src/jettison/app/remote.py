"""Sources that servers give: one file over HTTP, or a git checkout. Logins come from the build's secrets (§1.7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.base.digest import digest_of
from jettison.base.errors import InputError
from jettison.planning.ops import GitOp, HttpOp
from jettison.planning.remotes import git_source, is_http, url_filename
from jettison.registry.download import http_secret_ids
from jettison.registry.fetch import HttpIdentity, fetch_http, http_authorization, http_identity
from jettison.solve.ports import Cancel
from jettison.store.remotes import RemoteFact

if TYPE_CHECKING:
    from jettison.registry.git import GitAuth


def context_op(url: str) -> HttpOp | GitOp:
    """What fetches a context that is a URL. Raises InputError."""
    text = f"https://{url}" if url.startswith("github.com/") else url
    git = git_source(text)
    if git is not None:
        return git.op()
    if is_http(text):
        return HttpOp(url=text, filename=url_filename(text))
    raise InputError(f"{url} is neither a git repository nor an HTTP address")


def identity(op: HttpOp | GitOp, session: Session, secrets: Secrets) -> str:
    """What the source is now: a text that is equal exactly while its bytes are. Asked of the server every time."""
    if isinstance(op, GitOp):
        from jettison.registry.git import git_identity

        auth = _git_auth(op.remote, secrets)
        commit = git_identity(op.remote, op.ref, checksum=op.checksum, auth=auth, cancel=session.cancel)
        session.commits[op] = commit
        return commit
    known = session.store.remotes.get(op.url)
    previous = (
        HttpIdentity(etag=known.etag, digest=known.digest, last_modified_s=known.last_modified_s) if known else None
    )
    found = http_identity(
        op.url,
        previous,
        authorization=_authorization(op.url, secrets),
        checksum=op.checksum,
        cancel=session.cancel,
    )
    if found != previous and op.checksum is None:
        fact = RemoteFact(etag=found.etag, digest=found.digest, last_modified_s=found.last_modified_s)
        session.store.remotes.put(op.url, fact)
    # An ETag tells the versions of one URL apart, and nothing of another's.
    return digest_of(f"{op.url}\0{found.key}".encode("utf-8", "surrogateescape")) if found.etag else found.key


def fetch(op: HttpOp | GitOp, directory: str, session: Session, secrets: Secrets, cancel: Cancel | None) -> None:
    """Put the source's files into `directory`: the file as `op.filename`, or the checkout's (its subdir's) files.

    A checkout is of the commit that `identity` gave in this session: a ref may have moved since.
    """
    if isinstance(op, GitOp):
        from jettison.registry.git import git_checkout

        git_checkout(
            op.remote,
            op.ref,
            directory,
            commit=session.commits.get(op),
            subdir=op.subdir,
            keep_git_dir=op.keep_git_dir,
            submodules=op.submodules,
            mtime=op.mtime,
            checksum=op.checksum,
            auth=_git_auth(op.remote, secrets),
            cancel=cancel,
        )
        return
    fetch_http(
        op.url,
        os.path.join(directory, op.filename),
        authorization=_authorization(op.url, secrets),
        checksum=op.checksum,
        cancel=cancel,
    )


def _authorization(url: str, secrets: Secrets) -> str:
    header, token = (secrets.value(secret_id) for secret_id in http_secret_ids(url))
    return http_authorization(header, token)


def _git_auth(remote: str, secrets: Secrets) -> GitAuth:
    from jettison.registry.git import GitAuth, git_authorization, git_secret_ids

    headers, tokens = git_secret_ids(remote)
    agent = secrets.agent("default") or ""
    return GitAuth(
        authorization=git_authorization(_first(headers, secrets), _first(tokens, secrets)), ssh_auth_sock=agent
    )


def _first(secret_ids: tuple[str, ...], secrets: Secrets) -> bytes | None:
    return next((value for secret_id in secret_ids if (value := secrets.value(secret_id)) is not None), None)
