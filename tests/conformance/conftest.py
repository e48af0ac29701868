"""One store for all cases of a session, so that the base is unpacked once; and nothing of the user's environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from conformance.run import World
from conformance.serve import serving
from differential.conftest import base, buildah

__all__ = ["base", "buildah"]

_DROPPED = ("JETTISON_", "DOCKER_", "BUILDKIT_", "BUILDX_", "SOURCE_DATE_EPOCH", "XDG_", "SSH_AUTH_SOCK", "GIT_")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server, the base, and an environment with a store of the session's own."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(_DROPPED) or name.lower().endswith("_proxy"):
            del os.environ[name]
    folder = str(tmp_path_factory.mktemp("conformance"))
    os.makedirs(os.path.join(folder, "home"))
    with serving() as server:
        made = World.of(server)
        os.environ |= {"HOME": os.path.join(folder, "home"), "JETTISON_HOME": os.path.join(folder, "store")}
        yield made
    os.environ.clear()
    os.environ.update(kept)
