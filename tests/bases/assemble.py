"""Assemble a base once and find it again: the cache outside the clone, keyed by recipe."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator

from bases import machine, recipes
from bases.layout import Image

_OLD_SECONDS = 14 * 86_400


def cache_home() -> str:
    """Where assembled bases are kept, for this user."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "jettison-bases")


def base(name: str) -> str:
    """The OCI layout directory of a base, assembled now if no earlier run has done it."""
    directory = os.path.join(cache_home(), _key(name))
    if os.path.exists(os.path.join(directory, "oci-layout")):
        return directory
    os.makedirs(cache_home(), exist_ok=True)
    with _alone(name):
        if not os.path.exists(os.path.join(directory, "oci-layout")):
            _assemble(name, directory)
    return directory


def _assemble(name: str, directory: str) -> None:
    recipe, parent = recipes.RECIPES[name]
    below = (base(parent),) if parent else ()
    _forget_old(name)
    started = time.monotonic()
    print(f"assembling {name}", file=sys.stderr, flush=True)
    aside = tempfile.mkdtemp(dir=cache_home(), prefix="new-")
    try:
        image = Image(aside, machine.architecture())
        image.finish(name, recipe(image, *below))
        os.chmod(aside, 0o755)
        os.rename(aside, directory)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    print(f"assembled {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _forget_old(name: str) -> None:
    """What earlier recipes of this base made, and what killed runs left, once nobody can be using it any more."""
    old = re.compile(rf"(new-\w+|{re.escape(name.replace(':', '-'))}-[0-9a-f]{{16}})")
    for entry in os.scandir(cache_home()):
        if old.fullmatch(entry.name) and entry.stat().st_mtime < time.time() - _OLD_SECONDS:
            shutil.rmtree(entry.path, ignore_errors=True)


def _key(name: str) -> str:
    """The name, without what a path or a reference cannot hold, and a digest of all that decides the bytes."""
    digest = hashlib.sha256()
    here = os.path.dirname(os.path.realpath(__file__))
    for file in ("layout.py", "recipes.py"):
        with open(os.path.join(here, file), "rb") as source:
            digest.update(hashlib.sha256(source.read()).digest())
    digest.update(machine.fingerprint().encode())
    return f"{name.replace(':', '-')}-{digest.hexdigest()[:16]}"


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    with open(os.path.join(cache_home(), f"{name.replace(':', '-')}.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
