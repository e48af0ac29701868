"""Build records: one JSON file a build, and a row that lists it."""

from __future__ import annotations

import os

import msgspec

from jettison.base.errors import InputError
from jettison.store.index import Index

KEPT_RECORDS = 200
_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class BuildRow(msgspec.Struct, frozen=True, kw_only=True):
    """One build in the list. `started` is RFC 3339; `outcome` done, failed or cancelled."""

    id: str
    started: str
    outcome: str
    target: str = ""


class Records:
    """The records of the newest 200 builds, as their bytes."""

    def __init__(self, root: str, index: Index) -> None:
        self._directory = os.path.join(root, "records")
        self._index = index

    def write(self, build: BuildRow, data: bytes) -> str:
        """Keep a record; its path. Records beyond the newest 200 are removed."""
        path = self.path(build.id)
        aside = f"{path}.{os.getpid()}.tmp"
        with open(aside, "wb") as file:
            file.write(data)
        os.replace(aside, path)
        with self._index.write() as db:
            values = (build.id, build.started, build.outcome, build.target)
            db.execute("INSERT OR REPLACE INTO builds VALUES (?,?,?,?)", values)
        for old in self.list()[KEPT_RECORDS:]:
            self.remove(old.id)
        return path

    def list(self) -> tuple[BuildRow, ...]:
        """All builds, newest first."""
        rows = self._index.rows("SELECT id, started, outcome, target FROM builds ORDER BY started DESC, id DESC")
        return tuple(BuildRow(id=row[0], started=row[1], outcome=row[2], target=row[3]) for row in rows)

    def read(self, build_id: str) -> bytes:
        """The record's bytes. Raises InputError when there is none."""
        try:
            with open(self.path(build_id), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise InputError(f"no record of a build {build_id}", hint="list them: jettison history") from None

    def remove(self, build_id: str) -> None:
        """Forget a build."""
        with self._index.write() as db:
            db.execute("DELETE FROM builds WHERE id=?", (build_id,))
        try:
            os.unlink(self.path(build_id))
        except FileNotFoundError:
            pass

    def path(self, build_id: str) -> str:
        """Where the record lies. Raises InputError for what cannot be an id (it names a file)."""
        if not build_id or build_id.startswith(".") or not _ID.issuperset(build_id):
            raise InputError(f"not the id of a build: {build_id!r}")
        return os.path.join(self._directory, f"{build_id}.json")
