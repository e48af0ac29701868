"""The contexts of a request, opened: a directory as it lies, or standard input and URLs brought here first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jettison.app.contexts import Contexts, is_remote, open_local
from jettison.app.request import BuildRequest
from jettison.app.secrets import Secrets
from jettison.app.session import Session

STDIN = "-"


@contextmanager
def opened_contexts(request: BuildRequest, session: Session, secrets: Secrets) -> Iterator[Contexts]:
    """The contexts, there while the block runs. Raises UsageError, InputError and NetworkError."""
    if request.context != STDIN and not is_remote(request.context):
        yield open_local(request)
        return
    from jettison.app.fetched import open_fetched

    with session.store.scratch() as directory:
        yield open_fetched(request, session, secrets, os.path.join(directory, "context"))
