"""Past builds, as the store's records tell of them."""

from __future__ import annotations

import msgspec

from jettison.base.errors import InputError
from jettison.record.model import BuildRecord
from jettison.report.history import find_build
from jettison.store.store import Store

_record = msgspec.json.Decoder(BuildRecord)


def past_builds(home: str | None = None) -> tuple[BuildRecord, ...]:
    """Every build that the store has a record of, newest first; what cannot be read is left out. Raises HostError."""
    with Store.open(home) as store:
        found = (_read(store, build_id) for build_id in store.records.ids())
        return tuple(build for build in found if build is not None)


def past_build(text: str | None = None, home: str | None = None) -> BuildRecord:
    """The newest build that `text` means: an id or its beginning, an image's name or digest; None: the last one.

    Raises InputError when there is none, or when `text` is the beginning of several ids.
    """
    builds = past_builds(home)
    if text is None:
        if not builds:
            raise InputError("no build has been made yet", hint="jettison build -t NAME .")
        return builds[0]
    found = find_build(builds, text)
    if not found:
        raise InputError(f"no build with the id, image or digest {text}", hint="`jettison history` lists them")
    if len(found) > 1 and found[-1].id.startswith(text):
        raise InputError(f"{text} is the beginning of several builds' ids", hint="write more of it")
    return found[0]


def _read(store: Store, build_id: str) -> BuildRecord | None:
    try:
        return _record.decode(store.records.read(build_id))
    except (InputError, msgspec.DecodeError):  # another build has just removed it, or somebody put a file there
        return None
