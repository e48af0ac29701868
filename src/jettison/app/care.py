"""Store care: what the store takes and who needs it, and taking out of it what nobody does."""

from __future__ import annotations

import os

import msgspec

from jettison.app.bound import store_bound
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.oci.reference import parse_reference
from jettison.solve.ports import Cancel
from jettison.store import gc, sweep
from jettison.store.store import Store

IMAGE_LAYERS = "image layers"
SNAPSHOTS = "build snapshots"
BLOBS = "blobs"
CACHE_MOUNTS = "cache mounts"
RECORDS = "records"
OTHER = "other"  # the index, locks, what is not finished
KINDS = (IMAGE_LAYERS, SNAPSHOTS, BLOBS, CACHE_MOUNTS, RECORDS, OTHER)


class KindUse(msgspec.Struct, frozen=True, kw_only=True):
    """What things of a kind take. `reclaimable_bytes`: what a plain prune would remove; `in_use_bytes`: what running
    builds use. `used_s` is the newest last use (s since the epoch, 0: never).
    """

    kind: str
    count: int = 0
    size_bytes: int = 0
    reclaimable_bytes: int = 0
    in_use_bytes: int = 0
    used_s: int = 0


class ImageUse(msgspec.Struct, frozen=True, kw_only=True):
    """A named image: `size_bytes` is all that it keeps, `own_bytes` what it alone keeps. `name` "" has no tag."""

    name: str
    platform: str
    created_s: int
    size_bytes: int
    own_bytes: int
    in_use: bool


class CacheMountUse(msgspec.Struct, frozen=True, kw_only=True):
    """A cache mount's directory; `id` as the mount gave it."""

    id: str
    directory: str
    used_s: int
    size_bytes: int
    in_use: bool


class StoreUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a store takes on disk. `bound_bytes` is what its build cache is kept below, None: nothing."""

    store: str
    total_bytes: int
    reclaimable_bytes: int
    reclaimable_all_bytes: int
    in_use_bytes: int
    bound_bytes: int | None
    kinds: tuple[KindUse, ...]
    images: tuple[ImageUse, ...]
    cache_mounts: tuple[CacheMountUse, ...]


class PrunedLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was removed: `kind` is image, cache mount, snapshot, blob or record; `name` is for people."""

    kind: str
    name: str
    size_bytes: int = 0


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune removed."""

    removed: tuple[PrunedLine, ...]
    reclaimed_bytes: int


def store_use(home: str | None = None) -> StoreUse:
    """What the store takes, measured now. Raises HostError."""
    with Session.open(home) as session:
        store = session.store
        inventory = sweep.take_stock(store, session.sizes, anew=True)
        lines = gc.usage(inventory)
        doomed = gc.decide(inventory)
        records = _records(store)
        others = _others(session)
        going = {(thing.kind, thing.id) for thing in doomed.things}
        kinds = {kind: KindUse(kind=kind) for kind in KINDS}
        for line in lines:
            kind = _kind_of(line)
            if line.size_bytes or line.kind != gc.LAYER:  # a layer without a snapshot has blobs, if anything
                kinds[kind] = _added(kinds[kind], line, reclaimable=(line.kind, line.id) in going)
        kinds[RECORDS] = records
        kinds[OTHER] = others
        return StoreUse(
            store=store.root,
            total_bytes=sum(kind.size_bytes for kind in kinds.values()),
            reclaimable_bytes=doomed.size_bytes,
            reclaimable_all_bytes=gc.decide(inventory, all_=True).size_bytes + records.size_bytes,
            in_use_bytes=sum(kind.in_use_bytes for kind in kinds.values()),
            bound_bytes=store_bound(store.root),
            kinds=tuple(kinds.values()),
            images=_images(inventory),
            cache_mounts=_cache_mounts(store, lines),
        )


def prune(
    home: str | None = None,
    *,
    all_: bool = False,
    until_s: int | None = None,
    keep_bytes: int | None = None,
    kinds: frozenset[str] | None = None,
    cancel: Cancel | None = None,
) -> Pruned:
    """Remove what `store.gc.decide` says may go; with `all_` the records of builds, too.

    Raises HostError, Cancelled.
    """
    with Session.open(home, cancel=cancel) as session:
        ids = _cache_ids(session.store)
        doomed = sweep.prune(
            session.store,
            session.remove,
            session.sizes,
            all_=all_,
            until_s=until_s,
            keep_bytes=keep_bytes,
            kinds=kinds,
            anew=True,
        )
        lines = [
            *(
                PrunedLine(kind="image", name=_familiar(h.id))
                for h in doomed.holders
                if h.kind in (gc.NAME, gc.UNNAMED)
            ),
            *(_line(thing, ids) for thing in doomed.things if thing.size_bytes or thing.kind != gc.LAYER),
        ]
        if all_ and keep_bytes is None and kinds is None:
            lines += _without_records(session.store, until_s)
        return Pruned(removed=tuple(lines), reclaimed_bytes=sum(line.size_bytes for line in lines))


def _kind_of(line: gc.Usage) -> str:
    if line.kind == gc.LAYER:
        return IMAGE_LAYERS if line.named else SNAPSHOTS
    return {gc.BLOB: BLOBS, gc.CACHE: CACHE_MOUNTS}[line.kind]


def _added(kind: KindUse, line: gc.Usage, *, reclaimable: bool) -> KindUse:
    return KindUse(
        kind=kind.kind,
        count=kind.count + 1,
        size_bytes=kind.size_bytes + line.size_bytes,
        reclaimable_bytes=kind.reclaimable_bytes + (line.size_bytes if reclaimable else 0),
        in_use_bytes=kind.in_use_bytes + (line.size_bytes if line.pinned else 0),
        used_s=max(kind.used_s, line.used_s),
    )


def _images(inventory: gc.Inventory) -> tuple[ImageUse, ...]:
    """The images, with what only they keep: build cache that stands on the same layers does not count."""
    images = tuple(holder for holder in inventory.holders if holder.kind in (gc.NAME, gc.UNNAMED))
    alone = gc.Inventory(holders=images, things=inventory.things, pinned=inventory.pinned)
    return tuple(
        ImageUse(
            name=_familiar(share.id) if share.kind == gc.NAME else "",
            platform=share.id.rsplit(" ", 1)[1],
            created_s=share.used_s,
            size_bytes=share.size_bytes,
            own_bytes=share.own_bytes,
            in_use=share.pinned,
        )
        for share in gc.shares(alone, (gc.NAME, gc.UNNAMED))
    )


def _cache_mounts(store: Store, lines: tuple[gc.Usage, ...]) -> tuple[CacheMountUse, ...]:
    ids = _cache_ids(store)
    return tuple(
        CacheMountUse(
            id=ids.get(line.id, ""),
            directory=line.id,
            used_s=line.used_s,
            size_bytes=line.size_bytes,
            in_use=line.pinned,
        )
        for line in lines
        if line.kind == gc.CACHE
    )


def _cache_ids(store: Store) -> dict[str, str]:
    return dict(store.index.rows("SELECT directory, id FROM caches"))


def _familiar(holder: str) -> str:
    """The name in a holder's id, as people write it."""
    name = holder.rsplit(" ", 1)[0]
    return name if is_digest(name) else parse_reference(name).familiar


def _line(thing: gc.Thing, ids: dict[str, str]) -> PrunedLine:
    kind = {gc.LAYER: "snapshot", gc.BLOB: "blob", gc.CACHE: "cache mount"}[thing.kind]
    return PrunedLine(kind=kind, name=ids.get(thing.id) or thing.id, size_bytes=thing.size_bytes)


def _records(store: Store) -> KindUse:
    files = [_status(store.records.path(each)) for each in store.records.ids()]
    there = [status for status in files if status is not None]
    return KindUse(
        kind=RECORDS,
        count=len(there),
        size_bytes=sum(status.st_blocks * 512 for status in there),
        used_s=max((int(status.st_mtime) for status in there), default=0),
    )


def _without_records(store: Store, until_s: int | None) -> list[PrunedLine]:
    """Forget builds; those that began before `until_s` alone where that is given."""
    gone = []
    for build_id in store.records.ids():
        status = _status(store.records.path(build_id))
        if status is not None and (until_s is None or status.st_mtime < until_s):
            store.records.remove(build_id)
            gone.append(PrunedLine(kind="record", name=build_id, size_bytes=status.st_blocks * 512))
    return gone


def _others(session: Session) -> KindUse:
    """The rest: files at the top, locks, and what is not finished. Directories that hold the kinds are left out."""
    root = session.store.root
    counted = {"blobs", "snapshots", "caches", "records", "tmp", "locks"}
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.name not in counted]
    found = [_status(os.path.join(root, name)) for name in names]
    size = sum(status.st_blocks * 512 for status in found if status is not None)
    unfinished = tuple(os.path.join(root, "tmp", name) for name in os.listdir(os.path.join(root, "tmp")))
    sizes = session.sizes(unfinished) if unfinished else ()
    return KindUse(kind=OTHER, count=len(found) + len(unfinished), size_bytes=size + sum(sizes))


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
