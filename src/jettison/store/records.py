"""Build records: one JSON file a build. They are listed from their files: a build with nothing to do writes no row."""

from __future__ import annotations

import os

import msgspec

from jettison.base.errors import InputError

KEPT_RECORDS = 200
_SUFFIX = ".json"
_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class BuildRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of builds shows of a record. `started` is RFC 3339; `outcome` done, failed or cancelled."""

    id: str
    started: str
    outcome: str
    target: str = ""


class Records:
    """The records of the newest 200 builds, as their bytes. Ids sort by time."""

    def __init__(self, root: str) -> None:
        self._directory = os.path.join(root, "records")

    def write(self, build_id: str, data: bytes) -> str:
        """Keep a record; its path. Records beyond the newest 200 are removed."""
        path = self.path(build_id)
        aside = f"{path}.{os.getpid()}.tmp"
        with open(aside, "wb") as file:
            file.write(data)
        os.replace(aside, path)
        for old in self.ids()[KEPT_RECORDS:]:
            self.remove(old)
        return path

    def ids(self) -> list[str]:
        """The ids of all builds, newest first."""
        names = (name for name in os.listdir(self._directory) if name.endswith(_SUFFIX))
        return sorted((name.removesuffix(_SUFFIX) for name in names), reverse=True)

    def list(self) -> tuple[BuildRow, ...]:
        """All builds, newest first; a record that cannot be read is left out."""
        return tuple(row for row in map(self._row, self.ids()) if row is not None)

    def read(self, build_id: str) -> bytes:
        """The record's bytes. Raises InputError when there is none."""
        try:
            with open(self.path(build_id), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise InputError(f"no record of a build {build_id}", hint="list them: jettison history") from None

    def remove(self, build_id: str) -> None:
        """Forget a build."""
        try:
            os.unlink(self.path(build_id))
        except FileNotFoundError:
            pass

    def path(self, build_id: str) -> str:
        """Where the record lies. Raises InputError for what cannot be an id (it names a file)."""
        if not build_id or build_id.startswith(".") or not _ID.issuperset(build_id):
            raise InputError(f"not the id of a build: {build_id!r}")
        return os.path.join(self._directory, build_id + _SUFFIX)

    def _row(self, build_id: str) -> BuildRow | None:
        try:
            return msgspec.json.decode(self.read(build_id), type=BuildRow)
        except (InputError, msgspec.DecodeError):  # another build has just removed it, or somebody put a file there
            return None
