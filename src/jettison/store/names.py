"""Images by name (`app:latest`), and references that were resolved once and are remembered."""

from __future__ import annotations

import time

import msgspec

from jettison.store.index import Index

USED_GRAIN_S = 3600

_keeps = msgspec.json.Decoder(tuple[str, ...])


class NamedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A name on one platform. `keeps` lists every layer id and blob digest that the image needs: they stay with it."""

    name: str
    platform: str
    config_digest: str
    manifest_digest: str
    created_s: int = 0
    keeps: tuple[str, ...] = ()


class ResolvedRef(msgspec.Struct, frozen=True, kw_only=True):
    """What a reference on a platform meant when it was asked: digests of documents that the blobs then held."""

    ref: str
    platform: str
    manifest_digest: str
    config_digest: str
    resolved_s: int = 0


class Names:
    """Named images. Every method is one atomic read or write."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def put(self, *images: NamedImage) -> None:
        """Let names mean these images from now on, all at once. `created_s` 0 is now, or as it was for an image that
        has the name already: nothing is written then.
        """
        if all(self._means(image) for image in images):
            return
        now = int(time.time())
        values = [
            (i.name, i.platform, i.config_digest, i.manifest_digest, i.created_s or now, msgspec.json.encode(i.keeps))
            for i in images
        ]
        with self._index.write() as db:
            db.executemany("DELETE FROM names WHERE name=?", [(name,) for name in {image.name for image in images}])
            db.executemany("INSERT INTO names VALUES (?,?,?,?,?,?)", values)

    def get(self, name: str, platform: str | None = None) -> NamedImage | None:
        """The image of that name, on that platform (None: the only or first one)."""
        return next((i for i in self._select("WHERE name=?", name) if platform in (None, i.platform)), None)

    def _means(self, image: NamedImage) -> bool:
        """Whether its name means just this image."""
        known = self._select("WHERE name=?", image.name)
        created = known[0].created_s if known and not image.created_s else image.created_s
        return known == (msgspec.structs.replace(image, created_s=created),)

    def only(self, name: str) -> NamedImage | None:
        """The image of that name, if it is there for just one platform."""
        found = self._select("WHERE name=?", name)
        return found[0] if len(found) == 1 else None

    def all(self) -> tuple[NamedImage, ...]:
        """Every named image, in order of name and platform."""
        return self._select("")

    def remove(self, name: str) -> bool:
        """Forget a name; whether it was known."""
        with self._index.write() as db:
            return db.execute("DELETE FROM names WHERE name=?", (name,)).rowcount > 0

    def _select(self, where: str, *values: str) -> tuple[NamedImage, ...]:
        columns = "name, platform, config_digest, manifest_digest, created_s, keeps"
        rows = self._index.rows(f"SELECT {columns} FROM names {where} ORDER BY name, platform", *values)  # noqa: S608
        return tuple(
            NamedImage(
                name=name,
                platform=platform,
                config_digest=config,
                manifest_digest=manifest,
                created_s=created,
                keeps=_keeps.decode(keeps),
            )
            for name, platform, config, manifest, created, keeps in rows
        )


class Refs:
    """Resolved references. Every method is one atomic read or write."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def put(self, resolved: ResolvedRef) -> None:
        """Remember what a reference means. `resolved_s` 0 is now."""
        now = int(time.time())
        values = (resolved.ref, resolved.platform, resolved.manifest_digest, resolved.config_digest)
        with self._index.write() as db:
            db.execute("INSERT OR REPLACE INTO refs VALUES (?,?,?,?,?,?)", (*values, resolved.resolved_s or now, now))

    def get(self, ref: str, platform: str) -> ResolvedRef | None:
        """What the reference meant; a look-up counts as use."""
        sql = "SELECT manifest_digest, config_digest, resolved_s, used_s FROM refs WHERE ref=? AND platform=?"
        row = self._index.row(sql, ref, platform)
        if row is None:
            return None
        now = int(time.time())
        if now - row[3] > USED_GRAIN_S:
            with self._index.write() as db:
                db.execute("UPDATE refs SET used_s=? WHERE ref=? AND platform=?", (now, ref, platform))
        return ResolvedRef(ref=ref, platform=platform, manifest_digest=row[0], config_digest=row[1], resolved_s=row[2])

    def forget(self, ref: str, platform: str) -> None:
        """Drop what is remembered, so that it is asked for again."""
        with self._index.write() as db:
            db.execute("DELETE FROM refs WHERE ref=? AND platform=?", (ref, platform))
