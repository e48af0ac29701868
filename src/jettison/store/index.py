"""The one sqlite file: opened by the driver alone, never across a fork. Every concern has its own file of queries."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jettison.base import program
from jettison.base.errors import MAKE_ROOM, HostError, InternalError
from jettison.store.locks import held

SCHEMA_VERSION = 3  # a new one only adds tables: an older index gets them when it is opened
FIRST_WITH_OPS = 3
ANY_OP = ""  # in the table of ops: there are results of which it has none
BUSY_TIMEOUT_S = 60.0
WAL_BYTES = 2 << 20  # then they are moved into the index by who closes it; who opens it reads as many, in 1 ms or 2
_MOST_WAL_PAGES = 4_000  # of 4 KiB, of a program that does not close it for long: then they are moved at once

SCHEMA = """
CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, result BLOB NOT NULL, used_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candidates (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, op_digest TEXT NOT NULL, site TEXT NOT NULL,
  result BLOB NOT NULL, parts BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS candidates_by_op ON candidates (op_digest, seq);
CREATE INDEX IF NOT EXISTS candidates_by_site ON candidates (site, seq);
CREATE TABLE IF NOT EXISTS ops (seq INTEGER PRIMARY KEY AUTOINCREMENT, op_digest TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS layers (
  layer TEXT PRIMARY KEY, diff_id TEXT NOT NULL DEFAULT '', content_digest TEXT NOT NULL DEFAULT '',
  created_s INTEGER NOT NULL DEFAULT 0, size_bytes INTEGER NOT NULL DEFAULT -1) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layer_blobs (
  diff_id TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size_bytes INTEGER NOT NULL,
  PRIMARY KEY (diff_id, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob_sources (
  digest TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (digest, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packed (
  layer TEXT NOT NULL, compression TEXT NOT NULL, clamp TEXT NOT NULL, compressor TEXT NOT NULL,
  diff_id TEXT NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, tar_bytes INTEGER NOT NULL,
  PRIMARY KEY (layer, compression, clamp, compressor)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
  name TEXT NOT NULL, platform TEXT NOT NULL, config_digest TEXT NOT NULL, manifest_digest TEXT NOT NULL,
  created_s INTEGER NOT NULL, keeps BLOB NOT NULL, PRIMARY KEY (name, platform)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refs (
  ref TEXT NOT NULL, platform TEXT NOT NULL, manifest_digest TEXT NOT NULL, config_digest TEXT NOT NULL,
  resolved_s INTEGER NOT NULL, used_s INTEGER NOT NULL, PRIMARY KEY (ref, platform)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remotes (
  url TEXT PRIMARY KEY, etag TEXT NOT NULL, digest TEXT NOT NULL, last_modified_s INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, data BLOB NOT NULL, saved_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stamps (root TEXT PRIMARY KEY, data BLOB NOT NULL, saved_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS caches (directory TEXT PRIMARY KEY, id TEXT NOT NULL, used_s INTEGER NOT NULL) WITHOUT ROWID;
"""

REBUILD_HINT = (
    "remove {path} (with its -wal and -shm): the store makes a new one; images' names and the build cache are lost"
)


_left_open: list[sqlite3.Connection] = []  # for else they would be closed when nobody holds them


class Index:
    """One connection, for all threads in turn. Every `write` is one transaction: all of it or nothing of it.

    All methods raise HostError for a damaged or full index, or one that stays locked.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._has_written = False
        with _told(path):
            self._db = sqlite3.connect(path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            try:
                self._set_up()
            except BaseException:
                self._db.close()
                raise

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        self._check_process()
        with self._lock, _told(self.path):
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of a query."""
        self._check_process()
        with self._lock, _told(self.path):
            found: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return found

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: kept when the block ends, forgotten when it raises."""
        self._check_process()
        with self._lock, _told(self.path):
            if self._db.in_transaction:  # part of a larger one
                yield self._db
                return
            self._has_written = True
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection. Nothing else may be called afterwards.

        A program that is about to end leaves it to the kernel: the last one to close a connection waits for the disk,
        and so does whoever writes first after that. What was written is safe in the -wal file, as after a crash. When
        that is long, we wait for once: at the end, and not amid a step.
        """
        if program.is_ours():
            if os.getpid() == self._pid:
                self._shorten_wal()
            _left_open.append(self._db)
        elif os.getpid() == self._pid:
            with self._lock:
                self._db.close()

    def _shorten_wal(self) -> None:
        """Move what is in a long -wal file into the index, and begin a new one."""
        with self._lock, suppress(OSError, sqlite3.Error):
            if self._has_written and os.stat(f"{self.path}-wal").st_size >= WAL_BYTES:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
                # SQLite cuts the file when it is next written to from its beginning: with what the index says anyway.
                self._db.execute("PRAGMA journal_size_limit=0")
                self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _set_up(self) -> None:
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA wal_autocheckpoint={_MOST_WAL_PAGES}")
        version = self._version()
        if version < SCHEMA_VERSION:
            version = self._create()
        if version != SCHEMA_VERSION:
            hint = "use that jettison, or set JETTISON_HOME to another directory"
            raise HostError(f"the store's index {self.path} was made by another version of jettison", hint=hint)

    def _version(self) -> int:
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return version

    def _create(self) -> int:
        """Make the tables, or find that another process just has.

        Under a lock of its own: two processes that turn WAL on at once are told "locked" without any waiting.
        """
        with held(f"{self.path}-making", remove=True):
            self._db.execute("PRAGMA journal_mode=WAL")
            self._fill()
        return self._version()

    def _fill(self) -> None:
        with self.write() as db:
            before = self._version()
            if before < SCHEMA_VERSION:
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
                if 0 < before < FIRST_WITH_OPS:  # of what ops its results are, nobody has written down
                    db.execute("INSERT OR IGNORE INTO ops (op_digest) VALUES (?)", (ANY_OP,))
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise InternalError("the store's index was used across a fork")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Errors of sqlite, as what they mean to the user."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            hint = "another program keeps it open: see `fuser`, or try again"
            raise HostError(f"the store's index {path} stays locked", hint=hint) from error
        if "full" in str(error) or _is_full(path):
            raise HostError(f"the disk is full: {path}", hint=MAKE_ROOM) from error
        raise HostError(f"the store's index {path} cannot be used: {error}", hint=_hint(error, path)) from error
    except sqlite3.DatabaseError as error:
        hint = REBUILD_HINT.format(path=path)
        raise HostError(f"the store's index {path} is damaged: {error}", hint=hint) from error


def _is_full(path: str) -> bool:
    """Whether the disk has no block left: sqlite then calls it an I/O error where its -shm file cannot grow."""
    try:
        return os.statvfs(os.path.dirname(path)).f_bavail == 0
    except OSError:
        return False


def _hint(error: sqlite3.OperationalError, path: str) -> str:
    if "readonly" in str(error) or "unable to open" in str(error):
        return "the store must be writable: set JETTISON_HOME to a directory of your own"
    return REBUILD_HINT.format(path=path)
