"""Answers that follow from a key alone (what the build checks say of a text): computed once, kept by that key."""

from __future__ import annotations

import time

from jettison.store.index import Index

KEPT = 500


class Answers:
    """Bytes by key. At worst an answer is forgotten, and computed again."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, key: str) -> bytes | None:
        """The answer kept under `key`."""
        row = self._index.row("SELECT data FROM answers WHERE key=?", key)
        return None if row is None else row[0]

    def put(self, key: str, data: bytes) -> None:
        """Keep an answer; those beyond the newest 500 are forgotten."""
        with self._index.write() as db:
            db.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?)", (key, data, time.time_ns()))
            db.execute(
                "DELETE FROM answers WHERE key NOT IN (SELECT key FROM answers ORDER BY saved_ns DESC LIMIT ?)", (KEPT,)
            )
