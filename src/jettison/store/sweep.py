"""Taking stock of a store and taking out of it what `gc.decide` says may go."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from jettison.base.digest import is_digest
from jettison.base.errors import JettisonError
from jettison.oci.image import EMPTY_DIFF_ID
from jettison.oci.parse import parse_config
from jettison.store import gc
from jettison.store.leases import leftovers, living
from jettison.store.locks import try_lock
from jettison.store.results import SavedResult
from jettison.store.snapshots import layer_of

if TYPE_CHECKING:
    from jettison.store.store import Store

Remover = Callable[[tuple[str, ...]], None]
Sizer = Callable[[tuple[str, ...]], tuple[int, ...]]

_result = msgspec.json.Decoder(SavedResult)
_keeps = msgspec.json.Decoder(frozenset[str])


def take_stock(store: Store, sizer: Sizer, *, anew: bool = False) -> gc.Inventory:
    """All that the store holds now. `sizer` says how many bytes paths take on disk. Snapshots are asked about once,
    unless `anew`: what a file takes is shared by its hard links, and of those there may be more or fewer since.
    """
    _learn_sizes(store, sizer, anew=anew)
    cache_sizes = _cache_sizes(store, sizer)
    with store.gate.exclusive():
        return _inventory(store, cache_sizes)


def prune(
    store: Store,
    remover: Remover,
    sizer: Sizer,
    *,
    all_: bool = False,
    until_s: int | None = None,
    keep_bytes: int | None = None,
    kinds: frozenset[str] | None = None,
    anew: bool = False,
) -> gc.Doomed:
    """Remove what `gc.decide` says may go, and what dead builds left. `remover` removes paths, whatever owns them.

    Builds that run at the same time wait only while things are moved aside; the removing comes after. Several prunes
    at once each remove what they moved themselves. Killed at any moment, it leaves garbage: rows go before their files.
    """
    _learn_sizes(store, sizer, anew=anew)
    cache_sizes = _cache_sizes(store, sizer)
    aside = os.path.join(store.lease.tmp(), f"gone-{os.urandom(4).hex()}")
    os.mkdir(aside, 0o700)
    with store.gate.exclusive():
        sessions, _ = living(store.root)
        inventory = _inventory(store, cache_sizes)
        doomed = gc.decide(inventory, all_=all_, until_s=until_s, keep_bytes=keep_bytes, kinds=kinds)
        doomed, gone = _move_caches(store, doomed)
        _forget(store, doomed)
        _move_things(store, doomed, aside)
        for path in leftovers(store.root, sessions):
            _move(path, aside)
        _remove_dead_locks(store)
    if gone or os.listdir(aside):
        remover((aside, *gone))
    else:
        os.rmdir(aside)
    return doomed


def _inventory(store: Store, cache_sizes: dict[str, int]) -> gc.Inventory:
    _, pinned = living(store.root)
    return gc.Inventory(
        holders=tuple(_holders(store)),
        things=(*_layers(store), *_blobs(store), *_caches(cache_sizes)),
        pinned=pinned | _caches_in_use(store, cache_sizes),
    )


def _holders(store: Store) -> list[gc.Holder]:
    rows = store.index.rows
    found = [
        gc.Holder(kind=gc.RESULT, id=key, used_s=used, holds=frozenset(_result.decode(result).layers))
        for key, result, used in rows("SELECT key, result, used_s FROM results")
    ]
    found += [
        gc.Holder(
            kind=gc.REF,
            id=f"{ref} {platform}",
            used_s=used,
            holds=frozenset((manifest, config)),
            follows=_layers_of(store, config),
        )
        for ref, platform, manifest, config, used in rows(
            "SELECT ref, platform, manifest_digest, config_digest, used_s FROM refs"
        )
    ]
    found += [
        gc.Holder(
            kind=gc.UNNAMED if is_digest(name) else gc.NAME,
            id=f"{name} {platform}",
            used_s=created,
            holds=_keeps.decode(keeps) | {config, *((manifest,) if manifest else ())},
        )
        for name, platform, manifest, config, created, keeps in rows(
            "SELECT name, platform, manifest_digest, config_digest, created_s, keeps FROM names"
        )
    ]
    found += [
        gc.Holder(kind=gc.CACHE, id=name, used_s=used, holds=frozenset((name,)))
        for name, used in rows("SELECT directory, used_s FROM caches")
    ]
    return found


def _layers_of(store: Store, config_digest: str) -> frozenset[str]:
    """The layers of the image that has this config; none where it cannot be read."""
    try:
        config = parse_config(store.blobs.read(config_digest))
    except JettisonError:
        return frozenset()
    return frozenset(config.rootfs.diff_ids) - {EMPTY_DIFF_ID}


def _layers(store: Store) -> list[gc.Thing]:
    """Snapshots, and layers of which there are only blobs. Each holds the blobs it was packed to or comes from."""
    holds: dict[str, set[str]] = {}
    for layer, digest in store.index.rows("SELECT layer, digest FROM packed"):
        holds.setdefault(layer, set()).add(digest)
    for diff_id, digest in store.index.rows("SELECT diff_id, digest FROM layer_blobs"):
        holds.setdefault(diff_id, set()).add(digest)
    sizes = dict.fromkeys(holds, 0)
    sizes.update((layer, 0) for layer in _snapshot_layers(store))
    for layer, size in store.index.rows("SELECT layer, size_bytes FROM layers WHERE size_bytes > 0"):
        if layer in sizes:
            sizes[layer] = size
    return [
        gc.Thing(kind=gc.LAYER, id=layer, size_bytes=size, holds=frozenset(holds.get(layer, ())))
        for layer, size in sizes.items()
    ]


def _blobs(store: Store) -> list[gc.Thing]:
    with os.scandir(store.blobs.directory) as entries:
        return [
            gc.Thing(kind=gc.BLOB, id=f"sha256:{entry.name}", size_bytes=_on_disk(entry))
            for entry in entries
            if is_digest(f"sha256:{entry.name}")
        ]


def _on_disk(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:  # a damaged one that has just been removed
        return 0


def _caches(sizes: dict[str, int]) -> list[gc.Thing]:
    return [gc.Thing(kind=gc.CACHE, id=name, size_bytes=size) for name, size in sizes.items()]


def _caches_in_use(store: Store, names: dict[str, int]) -> frozenset[str]:
    used = set()
    for name in names:
        fd = store.caches.try_exclusive(name)
        if fd is None:
            used.add(name)
        else:
            os.close(fd)
    return frozenset(used)


def _snapshot_layers(store: Store) -> set[str]:
    names = os.listdir(store.snapshots.directory)
    return {layer for layer in map(layer_of, names) if layer is not None}


def _learn_sizes(store: Store, sizer: Sizer, *, anew: bool) -> None:
    known = dict(store.index.rows("SELECT layer, size_bytes FROM layers WHERE size_bytes >= 0"))
    asked = [layer for layer in sorted(_snapshot_layers(store)) if anew or layer not in known]
    paths = [(layer, path) for layer in asked for path in _directories(store, layer)]
    sizes: dict[str, int] = {}
    for (layer, _), size in zip(paths, sizer(tuple(path for _, path in paths)) if paths else (), strict=True):
        sizes[layer] = sizes.get(layer, 0) + size
    with store.index.write():  # one transaction for all
        for layer, size in sizes.items():
            if known.get(layer) != size:
                store.layers.learn(layer, size_bytes=size)


def _directories(store: Store, layer: str) -> list[str]:
    """Where the layer lies: its snapshot, its rows alone, or both."""
    paths = (store.snapshots.path(layer), store.snapshots.path(layer, files=False))
    return [path for path in paths if os.path.isdir(path)]


def _cache_sizes(store: Store, sizer: Sizer) -> dict[str, int]:
    """Every cache directory that is there, by name, with its size."""
    top = os.path.join(store.root, "caches")
    names = [f"{family}/{number}" for family in os.listdir(top) for number in os.listdir(os.path.join(top, family))]
    paths = tuple(store.caches.path(name) for name in names)
    return dict(zip(names, sizer(paths) if paths else (), strict=True))


def _move_caches(store: Store, doomed: gc.Doomed) -> tuple[gc.Doomed, tuple[str, ...]]:
    """Move caches under their locks; one that somebody has begun to use since stays. With where they lie then: beside
    where they lay, since a directory that is another user's may get another name but no other parent.
    """
    gone: dict[str, str] = {}
    for thing in doomed.things:
        fd = store.caches.try_exclusive(thing.id) if thing.kind == gc.CACHE else None
        if fd is not None:
            path = store.caches.path(thing.id)
            gone[thing.id] = _move(path, os.path.dirname(path))
            os.close(fd)
    kept = gc.Doomed(
        holders=tuple(h for h in doomed.holders if h.kind != gc.CACHE or h.id in gone),
        things=tuple(t for t in doomed.things if t.kind != gc.CACHE or t.id in gone),
    )
    return kept, tuple(path for path in gone.values() if path)


def _forget(store: Store, doomed: gc.Doomed) -> None:
    """Drop the rows first: a row without its snapshot is never returned, a snapshot without its row is garbage."""
    ids: dict[str, list[tuple[str, ...]]] = {}
    for holder in doomed.holders:
        key = (holder.id,) if holder.kind in (gc.RESULT, gc.CACHE) else tuple(holder.id.rsplit(" ", 1))
        ids.setdefault(holder.kind, []).append(key)
    layers = [(thing.id,) for thing in doomed.things if thing.kind == gc.LAYER]
    with store.index.write() as db:
        db.executemany("DELETE FROM results WHERE key=?", ids.get(gc.RESULT, []))
        db.execute("DELETE FROM ops WHERE NOT EXISTS (SELECT 1 FROM results)")
        db.executemany("DELETE FROM refs WHERE ref=? AND platform=?", ids.get(gc.REF, []))
        db.executemany("DELETE FROM names WHERE name=? AND platform=?", ids.get(gc.NAME, []))
        db.executemany("DELETE FROM caches WHERE directory=?", ids.get(gc.CACHE, []))
        db.executemany("DELETE FROM layers WHERE layer=?", layers)
        db.executemany("DELETE FROM packed WHERE layer=?", layers)
        db.executemany("DELETE FROM layer_blobs WHERE diff_id=?", layers)
        gone = {layer for (layer,) in layers}
        stale = [
            (seq,)
            for seq, result in db.execute("SELECT seq, result FROM candidates").fetchall()
            if gone.intersection(_result.decode(result).layers)
        ]
        db.executemany("DELETE FROM candidates WHERE seq=?", stale)


def _move_things(store: Store, doomed: gc.Doomed, aside: str) -> None:
    for thing in doomed.things:
        if thing.kind == gc.BLOB:
            _move(store.blobs.path(thing.id), aside)
        elif thing.kind == gc.LAYER:
            _move(store.snapshots.path(thing.id), aside)
            _move(store.snapshots.path(thing.id, files=False), aside)


def _move(path: str, directory: str) -> str:
    """Where it lies then, in `directory`; "" for what is no longer there."""
    moved = os.path.join(directory, f"{os.path.basename(path)}-{os.urandom(4).hex()}")
    try:
        os.rename(path, moved)
    except FileNotFoundError:
        return ""
    return moved


def _remove_dead_locks(store: Store) -> None:
    """Lock files of blobs and layers that a killed build left."""
    directory = os.path.join(store.root, "locks", "blobs")
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        fd = try_lock(path)
        if fd is not None:
            os.unlink(path)
            os.close(fd)
