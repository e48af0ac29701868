"""What is known of layers: diff_ids, the blobs that hold them, where those can be fetched, how they were packed."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from jettison.store.index import Index


class LayerFact(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of the store. `diff_id` and `content_digest` are "" and `size_bytes` (on disk) -1 until known."""

    layer: str
    diff_id: str = ""
    content_digest: str = ""
    created_s: int = 0
    size_bytes: int = -1


class BlobFact(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that holds the layer `diff_id`. `sources`: texts that say where it can be fetched (a registry's
    repository, an image layout's directory).
    """

    diff_id: str
    digest: str
    media_type: str
    size_bytes: int
    sources: tuple[str, ...] = ()


class PackedFact(msgspec.Struct, frozen=True, kw_only=True):
    """A layer as it was packed once: `clamp_epoch` (s) or None; `compressor` names library, version and level."""

    layer: str
    compression: str
    clamp_epoch: int | None
    compressor: str
    diff_id: str
    digest: str
    size_bytes: int
    tar_bytes: int


class Layers:
    """The facts, by layer and by diff_id. Every method is one atomic read or write."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, layer: str) -> LayerFact | None:
        """What is known of `layer`."""
        row = self._index.row("SELECT diff_id, content_digest, created_s, size_bytes FROM layers WHERE layer=?", layer)
        if row is None:
            return None
        return LayerFact(layer=layer, diff_id=row[0], content_digest=row[1], created_s=row[2], size_bytes=row[3])

    def learn(
        self, layer: str, *, diff_id: str = "", content_digest: str = "", size_bytes: int = -1, created_s: int = 0
    ) -> None:
        """Add to what is known of `layer`; what is left out stays as it was. `created_s` (0: now) is that of a layer of
        which nothing was known.
        """
        sql = (
            "INSERT INTO layers VALUES (:layer, :diff_id, :content, :now, :size) ON CONFLICT (layer) DO UPDATE SET "
            "diff_id=iif(:diff_id='', diff_id, :diff_id), "
            "content_digest=iif(:content='', content_digest, :content), "
            "size_bytes=iif(:size=-1, size_bytes, :size)"
        )
        values = {"layer": layer, "diff_id": diff_id, "content": content_digest, "size": size_bytes}
        with self._index.write() as db:
            db.execute(sql, {**values, "now": created_s or int(time.time())})

    def add_blob(self, blob: BlobFact) -> None:
        """Remember a blob of a layer; its sources are added to those that are known."""
        with self._index.write() as db:
            values = (blob.diff_id, blob.digest, blob.media_type, blob.size_bytes)
            db.execute("INSERT OR REPLACE INTO layer_blobs VALUES (?,?,?,?)", values)
            db.executemany(
                "INSERT OR IGNORE INTO blob_sources VALUES (?,?)", [(blob.digest, source) for source in blob.sources]
            )

    def blobs_of(self, diff_id: str) -> tuple[BlobFact, ...]:
        """The blobs that hold the layer `diff_id`, in order of digest."""
        sql = "SELECT digest, media_type, size_bytes FROM layer_blobs WHERE diff_id=? ORDER BY digest"
        return tuple(
            BlobFact(diff_id=diff_id, digest=d, media_type=kind, size_bytes=size, sources=self.sources_of(d))
            for d, kind, size in self._index.rows(sql, diff_id)
        )

    def unplaced(self, diff_ids: Iterable[str]) -> frozenset[str]:
        """Those of the layers of which no blob is known."""
        asked = frozenset(diff_ids)
        marks = ",".join("?" * len(asked))
        rows = self._index.rows(f"SELECT diff_id FROM layer_blobs WHERE diff_id IN ({marks})", *asked)  # noqa: S608 - marks alone
        return asked.difference(diff_id for (diff_id,) in rows)

    def forget_blobs(self, diff_id: str) -> None:
        """Drop what is known of the layer's blobs, and of how it was packed: nobody has them any more."""
        with self._index.write() as db:
            db.execute("DELETE FROM layer_blobs WHERE diff_id=?", (diff_id,))
            db.execute("DELETE FROM packed WHERE layer=?", (diff_id,))

    def sources_of(self, digest: str) -> tuple[str, ...]:
        """Where the blob can be fetched from."""
        rows = self._index.rows("SELECT source FROM blob_sources WHERE digest=? ORDER BY source", digest)
        return tuple(source for (source,) in rows)

    def add_packed(self, fact: PackedFact) -> None:
        """Remember how a layer was packed."""
        key = (fact.layer, fact.compression, _clamp(fact.clamp_epoch), fact.compressor)
        with self._index.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO packed VALUES (?,?,?,?,?,?,?,?)",
                (*key, fact.diff_id, fact.digest, fact.size_bytes, fact.tar_bytes),
            )

    def hashed(self, layer: str, clamp_epoch: int | None) -> PackedFact | None:
        """The sums of the layer's tar, whatever became of it: no blob, no compressor."""
        sql = "SELECT diff_id, tar_bytes FROM packed WHERE layer=? AND clamp=? LIMIT 1"
        row = self._index.row(sql, layer, _clamp(clamp_epoch))
        if row is None:
            return None
        return PackedFact(
            layer=layer,
            compression="",
            clamp_epoch=clamp_epoch,
            compressor="",
            diff_id=row[0],
            digest="",
            size_bytes=0,
            tar_bytes=row[1],
        )

    def packed_size(self, layer: str) -> int:
        """The bytes of the layer's tar, 0 while it was never packed here."""
        row = self._index.row("SELECT max(tar_bytes) FROM packed WHERE layer=?", layer)
        return row[0] if row is not None and row[0] is not None else 0

    def known_size(self, layer: str) -> int:
        """The bytes of the layer's tar, else of a compressed blob that holds it, else 0."""
        row = self._index.row("SELECT max(size_bytes) FROM layer_blobs WHERE diff_id=?", layer)
        blob = row[0] if row is not None and row[0] is not None else 0
        return self.packed_size(layer) or blob

    def packed(self, layer: str, compression: str, clamp_epoch: int | None, compressor: str) -> PackedFact | None:
        """The layer as it was packed in just that way, if it was. Whether the blob is still there is asked of blobs."""
        row = self._index.row(
            "SELECT diff_id, digest, size_bytes, tar_bytes FROM packed "
            "WHERE layer=? AND compression=? AND clamp=? AND compressor=?",
            layer,
            compression,
            _clamp(clamp_epoch),
            compressor,
        )
        if row is None:
            return None
        return PackedFact(
            layer=layer,
            compression=compression,
            clamp_epoch=clamp_epoch,
            compressor=compressor,
            diff_id=row[0],
            digest=row[1],
            size_bytes=row[2],
            tar_bytes=row[3],
        )


def _clamp(epoch: int | None) -> str:
    return "" if epoch is None else str(epoch)
