"""The solver's ResultCache on the store: rows of the index, trusted only while the snapshots they name are whole."""

from __future__ import annotations

from collections.abc import Collection

from jettison.solve.ports import Candidate, Entry, Result
from jettison.store import results
from jettison.store.results import SavedCandidate, SavedResult
from jettison.store.store import Store

OFFERED = 8


class StoreCache:
    """`solve.ports.ResultCache`: durable, and shared by all builds that use the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, key: str) -> Result | None:
        """The result under `key` whose layers are all whole."""
        found = results.find(self._store.index, key)
        return result_of(found) if found is not None and self._is_whole(found) else None

    def save(self, *entries: Entry) -> None:
        """Remember results. See `solve.ports.ResultCache.save`."""
        results.save(self._store.index, *map(_saved, entries))

    def stand(self, *entries: Entry) -> None:
        """Remember which results stand at their sites. See `solve.ports.ResultCache.stand`."""
        results.stand(self._store.index, {each.site: (each.op_digest, saved_of(each.result)) for each in entries})

    def candidates(self, op_digest: str) -> tuple[Candidate, ...]:
        """Earlier whole results of the op, newest first."""
        found = results.candidates(self._store.index, op_digest, results.KEPT_OF_AN_OP)
        return tuple(_candidate(each) for each in found if self._is_whole(each.result))[:OFFERED]

    def last_at(self, site: str) -> Candidate | None:
        """The newest result at the site; it need not be whole: only its parts are looked at."""
        found = results.last_at(self._store.index, site)
        return None if found is None else _candidate(found)

    def known_ops(self, op_digests: Collection[str]) -> frozenset[str]:
        """The ops of which a result may be here. See `solve.ports.ResultCache.known_ops`."""
        return results.known_ops(self._store.index, op_digests)

    def _is_whole(self, saved: SavedResult) -> bool:
        return self._store.snapshots.all_whole(saved.layers)


def result_of(saved: SavedResult) -> Result:
    """A result of the index as the solver has it."""
    return Result(id=saved.id, layers=saved.layers, added=saved.added, inputs=saved.inputs)


def _saved(entry: Entry) -> results.Saving:
    candidate = SavedCandidate(entry.site, saved_of(entry.result), entry.keys[-1].parts)
    return results.Saving(tuple(key.digest for key in entry.keys), entry.op_digest, candidate)


def saved_of(result: Result) -> SavedResult:
    """A result of the solver as the index has it."""
    return SavedResult(result.id, result.layers, result.added, result.inputs)


def _candidate(saved: SavedCandidate) -> Candidate:
    return Candidate(site=saved.site, result=result_of(saved.result), parts=saved.parts)
