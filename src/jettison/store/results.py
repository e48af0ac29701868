"""Results by key, and earlier results of an op or at a site: the queries behind the solver's ResultCache."""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import sqlite3
import time
import zlib
from collections.abc import Collection, Mapping

import msgspec

from jettison.record.model import KeyPart
from jettison.store.index import ANY_OP, Index

KEPT_AT_A_SITE = 4
KEPT_OF_AN_OP = 16
KEPT_OPS = 50_000  # of those saved last: about 100 bytes each
USED_GRAIN_S = 3600  # a look-up writes only when this much has passed since the last one wrote


class SavedResult(msgspec.Struct, frozen=True, array_like=True):
    """A result as it stands in the index: the solver's identity, its stack bottom first, what the step added, and the
    identities of what it was made of (none in what was saved elsewhere, or before they were noted).
    """

    id: str
    layers: tuple[str, ...]
    added: tuple[str, ...]
    inputs: tuple[str, ...] = ()


class SavedCandidate(msgspec.Struct, frozen=True, array_like=True):
    """An earlier result with the key parts that it had."""

    site: str
    result: SavedResult
    parts: tuple[KeyPart, ...]


class Saving(msgspec.Struct, frozen=True):
    """A result to remember: under which keys, of which op."""

    keys: tuple[str, ...]
    op_digest: str
    candidate: SavedCandidate


_result = msgspec.json.Decoder(SavedResult)
_parts = msgspec.msgpack.Decoder(tuple[tuple[str, str], ...])
_encode = msgspec.json.encode


def find(index: Index, key: str) -> SavedResult | None:
    """The result saved under `key`; a look-up counts as use."""
    row = index.row("SELECT result, used_s FROM results WHERE key=?", key)
    if row is None:
        return None
    now = int(time.time())
    if now - row[1] > USED_GRAIN_S:
        with index.write() as db:
            db.execute("UPDATE results SET used_s=? WHERE key=?", (now, key))
    return _result.decode(row[0])


def forget(index: Index, keys: tuple[str, ...]) -> None:
    """Drop results, so that they are made again."""
    with index.write() as db:
        db.executemany("DELETE FROM results WHERE key=?", [(key,) for key in keys])


def save(index: Index, *savings: Saving) -> None:
    """Remember each result under every one of its keys, and as the newest of its op and at its site: in one
    transaction. What is so already is not written again: what is written, is written to the disk some day.
    """
    now = int(time.time())
    packed = [(each, _encode(each.candidate.result), _pack(each.candidate.parts)) for each in savings]
    with index.write() as db:
        for saving, text, parts in packed:
            db.executemany(_SAVE, [(key, text, now, USED_GRAIN_S) for key in saving.keys])
            candidate = (saving.op_digest, saving.candidate.site, text, parts)
            if not _is_newest(db, candidate):
                _add(db, candidate)
            _note_op(db, saving.op_digest)


def stand(index: Index, standing: Mapping[str, tuple[str, SavedResult]]) -> None:
    """Make known results (op and result, by site) the newest at their sites, wherever they were made. It is one
    question where they are that already.
    """
    wanted = {site: (op, _encode(result)) for site, (op, result) in standing.items()}
    marks = ",".join("?" * len(wanted))  # the values stay outside of the statement's text
    newest = f"SELECT max(seq) FROM candidates WHERE site IN ({marks}) GROUP BY site"  # noqa: S608
    rows = index.rows(f"SELECT site, op_digest, result FROM candidates WHERE seq IN ({newest})", *wanted)  # noqa: S608
    there = {site: (op, text) for site, op, text in rows}
    sql = "SELECT parts FROM candidates WHERE op_digest=? AND result=? ORDER BY site=? DESC, seq DESC LIMIT 1"
    moved = [
        (op, site, text, row[0])
        for site, (op, text) in wanted.items()
        if there.get(site) != (op, text) and (row := index.row(sql, op, text, site)) is not None
    ]
    if moved:
        with index.write() as db:
            for candidate in moved:
                _add(db, candidate)


_SAVE = (
    "INSERT INTO results VALUES (?1,?2,?3) ON CONFLICT (key) DO UPDATE SET result=?2, used_s=?3 "
    "WHERE result<>?2 OR used_s NOT BETWEEN ?3-?4 AND ?3"
)
_NEWEST = (
    "SELECT op_digest, site, result, parts FROM candidates "
    "WHERE seq=(SELECT max(seq) FROM candidates WHERE op_digest=?) "
    "AND seq=(SELECT max(seq) FROM candidates WHERE site=?)"
)
_Candidate = tuple[str, str, bytes, bytes]  # as its row: op digest, site, result, parts


def _is_newest(db: sqlite3.Connection, candidate: _Candidate) -> bool:
    """Whether the newest result of the op, and the newest at the site, is that one."""
    found: _Candidate | None = db.execute(_NEWEST, candidate[:2]).fetchone()
    return found == candidate


def _add(db: sqlite3.Connection, candidate: _Candidate) -> None:
    op, site, text, _ = candidate
    db.execute("DELETE FROM candidates WHERE op_digest=? AND site=? AND result=?", (op, site, text))
    db.execute("INSERT INTO candidates (op_digest, site, result, parts) VALUES (?,?,?,?)", candidate)
    db.execute(_trim("site"), (site, site, KEPT_AT_A_SITE))
    db.execute(_trim("op_digest"), (op, op, KEPT_OF_AN_OP))


def _note_op(db: sqlite3.Connection, op_digest: str) -> None:
    """An op of which there is a result is known for as long as it is among those saved last, more or less."""
    sql = "SELECT max(seq), (SELECT seq FROM ops WHERE op_digest=?) FROM ops"
    newest, its = db.execute(sql, (op_digest,)).fetchone()
    if its is not None and its > newest - KEPT_OPS // 2:
        return
    seq = db.execute("INSERT OR REPLACE INTO ops (op_digest) VALUES (?)", (op_digest,)).lastrowid or 0
    db.execute("DELETE FROM ops WHERE seq<=? AND op_digest<>?", (seq - KEPT_OPS, ANY_OP))


def adopt(index: Index, key: str, result: SavedResult, others: tuple[str, ...]) -> None:
    """Remember a result made elsewhere, under `key`, and under those of `others` that mean nothing here yet. Of which
    ops it is, nobody says.
    """
    now, text = int(time.time()), _encode(result)
    with index.write() as db:
        db.execute("INSERT OR REPLACE INTO results VALUES (?,?,?)", (key, text, now))
        db.executemany("INSERT OR IGNORE INTO results VALUES (?,?,?)", [(other, text, now) for other in others])
        db.execute("INSERT OR IGNORE INTO ops (op_digest) VALUES (?)", (ANY_OP,))


def known_ops(index: Index, op_digests: Collection[str]) -> frozenset[str]:
    """Those of the ops of which there may be a result: all of which one was saved, but for the oldest of very many."""
    marks = ",".join("?" * (len(op_digests) + 1))
    rows = index.rows(f"SELECT op_digest FROM ops WHERE op_digest IN ({marks})", ANY_OP, *op_digests)  # noqa: S608
    found = frozenset(digest for (digest,) in rows)
    return frozenset(op_digests) if ANY_OP in found else found


def keys_by_result(index: Index) -> dict[SavedResult, tuple[str, ...]]:
    """All keys of each result, the one last used first."""
    found: dict[bytes, list[str]] = {}
    for key, text in index.rows("SELECT key, result FROM results ORDER BY used_s DESC, key"):
        found.setdefault(text, []).append(key)
    return {_result.decode(text): tuple(keys) for text, keys in found.items()}


def forget_layer(index: Index, layer: str) -> None:
    """Drop every result that has the layer in its stack, so that it is made again."""
    with index.write() as db:
        for table in ("results", "candidates"):
            db.execute(f"DELETE FROM {table} WHERE instr(result, ?)", (f'"{layer}"'.encode(),))  # noqa: S608 - ours


def candidates(index: Index, op_digest: str, limit: int) -> tuple[SavedCandidate, ...]:
    """Earlier results of that op, newest first."""
    sql = "SELECT site, result, parts FROM candidates WHERE op_digest=? ORDER BY seq DESC LIMIT ?"
    return tuple(_candidate(row) for row in index.rows(sql, op_digest, limit))


def layers_of(index: Index, op_digest: str, limit: int) -> tuple[str, ...]:
    """The layers that earlier runs of that op added, the newest first."""
    sql = "SELECT result FROM candidates WHERE op_digest=? ORDER BY seq DESC LIMIT ?"
    found = (_result.decode(text).added for (text,) in index.rows(sql, op_digest, limit))
    return tuple(dict.fromkeys(layer for added in found for layer in added))


def last_at(index: Index, site: str) -> SavedCandidate | None:
    """What was saved or stood at that site last, whatever its op."""
    row = index.row("SELECT site, result, parts FROM candidates WHERE site=? ORDER BY seq DESC LIMIT 1", site)
    return None if row is None else _candidate(row)


def _candidate(row: tuple[str, bytes, bytes]) -> SavedCandidate:
    return SavedCandidate(row[0], _result.decode(row[1]), _unpack(row[2]))


def _trim(column: str) -> str:
    return (
        f"DELETE FROM candidates WHERE {column}=? AND seq NOT IN "  # noqa: S608 - a column's name, ours
        f"(SELECT seq FROM candidates WHERE {column}=? ORDER BY seq DESC LIMIT ?)"
    )


def _pack(parts: tuple[KeyPart, ...]) -> bytes:
    """Parts may name 12,000 files: kept small."""
    return zlib.compress(msgspec.msgpack.encode([(part.name, part.value) for part in parts]), 1)


def _unpack(data: bytes) -> tuple[KeyPart, ...]:
    return tuple(KeyPart(name, value) for name, value in _parts.decode(zlib.decompress(data)))
