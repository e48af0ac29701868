"""What may go, and that it then is gone: the decision on inventories drawn at random, the sweep on a real store."""

import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.base.digest import digest_of
from jettison.store import gc, results, sweep
from jettison.store.layers import BlobFact, PackedFact
from jettison.store.names import NamedImage
from jettison.store.results import SavedCandidate, SavedResult
from jettison.store.store import Store


def holder(name: str, used_s: int, *holds: str, kind: str = gc.RESULT) -> gc.Holder:
    return gc.Holder(kind=kind, id=name, used_s=used_s, holds=frozenset(holds))


def thing(name: str, size: int = 10, *holds: str, kind: str = gc.LAYER) -> gc.Thing:
    return gc.Thing(kind=kind, id=name, size_bytes=size, holds=frozenset(holds))


def gone(doomed: gc.Doomed) -> list[str]:
    return sorted(each.id for each in doomed.things)


STOCK = gc.Inventory(
    holders=(
        holder("old", 1, "s-1", "s-2"),
        holder("new", 9, "s-1", "s-3"),
        holder("app", 5, "s-3", kind=gc.NAME),
    ),
    things=(
        thing("s-1"),
        thing("s-2", 20, "blob-2"),
        thing("s-3", 30),
        thing("blob-2", 5, kind=gc.BLOB),
        thing("stray"),
    ),
)


def test_the_build_cache_goes_and_images_stay():
    assert gone(gc.decide(STOCK)) == ["blob-2", "s-1", "s-2", "stray"]


def test_all_takes_images_too():
    assert gone(gc.decide(STOCK, all_=True)) == ["blob-2", "s-1", "s-2", "s-3", "stray"]


def test_until_spares_what_was_used_since():
    assert gone(gc.decide(STOCK, until_s=5)) == ["blob-2", "s-2", "stray"]


def test_as_much_goes_as_brings_the_size_down_longest_unused_first():
    assert gone(gc.decide(STOCK, keep_bytes=35)) == ["stray"]
    assert gone(gc.decide(STOCK, keep_bytes=34)) == ["blob-2", "s-2", "stray"]
    assert gc.decide(STOCK, keep_bytes=34).size_bytes == 35
    assert gone(gc.decide(STOCK, keep_bytes=64, all_=True)) == ["blob-2", "s-2", "stray"]  # images count, too


def test_what_a_running_build_uses_stays():
    pinned = gc.Inventory(holders=STOCK.holders, things=STOCK.things, pinned=frozenset(("s-2", "stray")))
    assert gone(gc.decide(pinned)) == ["s-1"]


def test_a_result_goes_only_with_bytes():
    stock = gc.Inventory(
        holders=(
            holder("base", 1, "s-1"),
            holder("middle", 2, "s-1", "s-2"),
            holder("top", 9, "s-1", "s-2", "s-3"),
            holder("other", 3, "s-4"),
            holder("of the image", 1, "s-5"),
            holder("app", 1, "s-5", "config", kind=gc.NAME),
        ),
        things=tuple(map(thing, ("s-1", "s-2", "s-3", "s-4", "s-5", "config"))),
    )
    assert [h.id for h in gc.decide(stock, until_s=5).holders] == ["other"]  # the top was used: so were those below it
    assert [h.id for h in gc.decide(stock, keep_bytes=20).holders] == ["other", "top"]
    assert [h.id for h in gc.decide(stock).holders] == ["other", "top", "middle", "base"]


def test_what_a_name_means_is_remembered_while_its_layers_are_used():
    follower = gc.Holder(kind=gc.REF, id="base", used_s=1, holds=frozenset(("manifest",)), follows=frozenset(("s-1",)))
    stock = gc.Inventory(
        holders=(follower, holder("app", 1, "s-1", kind=gc.NAME)), things=(thing("s-1"), thing("manifest"))
    )
    assert gone(gc.decide(stock)) == []
    assert gone(gc.decide(stock, all_=True)) == ["manifest", "s-1"]
    assert gone(gc.decide(gc.Inventory(holders=(follower,), things=stock.things))) == ["manifest", "s-1"]


def test_an_image_without_a_tag_is_build_cache():
    images = tuple(holder(kind, 1, f"of {kind}", kind=kind) for kind in (gc.NAME, gc.UNNAMED))
    stock = gc.Inventory(holders=images, things=(thing(f"of {gc.NAME}"), thing(f"of {gc.UNNAMED}")))
    assert gone(gc.decide(stock)) == ["of unnamed"]


def test_only_holders_of_the_kinds_that_are_asked_for_go():
    stock = gc.Inventory(
        holders=(*STOCK.holders, holder("c/0", 1, "c/0", kind=gc.CACHE)), things=(*STOCK.things, thing("c/0"))
    )
    assert gone(gc.decide(stock, kinds=frozenset((gc.CACHE,)))) == ["c/0", "stray"]


def test_usage_says_who_needs_what():
    pinned = gc.Inventory(holders=STOCK.holders, things=STOCK.things, pinned=frozenset(("s-2",)))
    lines = {line.id: line for line in gc.usage(pinned)}
    assert [line.id for line in gc.usage(STOCK)][:2] == ["s-3", "s-2"]
    assert [name for name in lines if lines[name].shared] == ["s-3", "s-1"]
    assert [name for name in lines if lines[name].named] == ["s-3"]
    assert [name for name in lines if lines[name].pinned] == ["s-2", "blob-2"]
    assert lines["s-1"].used_s == 9
    assert lines["stray"].used_s == 0


def test_shares_say_what_each_holder_takes():
    shares = gc.shares(STOCK, (gc.RESULT, gc.NAME))
    assert [(each.id, each.size_bytes, each.own_bytes) for each in shares] == [
        ("new", 40, 0),
        ("old", 35, 25),
        ("app", 30, 0),
    ]


NAMES = [f"t{number}" for number in range(8)]
things = st.builds(
    lambda sizes, holds: tuple(thing(name, size, *held) for name, size, held in zip(NAMES, sizes, holds, strict=True)),
    st.lists(st.integers(0, 9), min_size=8, max_size=8),
    st.lists(st.lists(st.sampled_from(NAMES), max_size=2), min_size=8, max_size=8),
)
holders = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.lists(st.sampled_from(NAMES), max_size=3),
        st.sampled_from([gc.RESULT, gc.NAME, gc.UNNAMED]),
    ),
    max_size=6,
).map(lambda drawn: tuple(holder(f"h{n}", used, *held, kind=kind) for n, (used, held, kind) in enumerate(drawn)))
inventories = st.builds(
    lambda h, t, p: gc.Inventory(holders=h, things=t, pinned=frozenset(p)),
    holders,
    things,
    st.lists(st.sampled_from(NAMES), max_size=2),
)


def closure(names: set[str], inventory: gc.Inventory) -> set[str]:
    by_id = {each.id: each for each in inventory.things}
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names |= by_id[name].holds
    return found


@settings(max_examples=200, deadline=None)
@given(inventories, st.booleans(), st.none() | st.integers(0, 10), st.none() | st.integers(0, 60))
def test_nothing_that_is_needed_goes_and_nothing_that_is_not_stays(inventory, all_, until_s, keep_bytes):
    doomed = gc.decide(inventory, all_=all_, until_s=until_s, keep_bytes=keep_bytes)
    kept = [each for each in inventory.holders if each not in doomed.holders]
    needed = closure({name for each in kept for name in each.holds} | set(inventory.pinned), inventory)
    assert {each.id for each in inventory.things} - {each.id for each in doomed.things} == needed
    if not all_:
        assert all(each.kind != gc.NAME for each in doomed.holders)
    if until_s is not None:
        assert all(each.used_s < until_s for each in doomed.holders)
    size = {each.id: each.size_bytes for each in inventory.things}
    images = [each for each in inventory.holders if each.kind == gc.NAME and not all_]
    wanted = closure({name for each in images for name in each.holds}, inventory)
    held = closure({name for each in inventory.holders for name in each.holds}, inventory)
    if keep_bytes is not None and doomed.holders:  # nothing had to go while there was room
        assert sum(size[name] for name in held - wanted) > keep_bytes
    for each in doomed.holders:  # what goes frees something, or nobody needed it
        assert not each.holds or closure(set(each.holds), inventory) - wanted - closure(
            set(inventory.pinned), inventory
        )


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def make(store: Store, key: str, site: str = "site") -> str:
    """A layer with a file and a blob, and a result that names it."""
    layer, path = store.new_snapshot()
    os.mkdir(path)
    with open(f"{path}/manifest", "w") as file:
        file.write(key)
    store.keep_snapshot(layer)
    digest = store.blobs.put(f"packed {key}".encode())
    store.layers.add_packed(
        PackedFact(
            layer=layer,
            compression="gzip",
            clamp_epoch=None,
            compressor="x",
            diff_id=digest,
            digest=digest,
            size_bytes=1,
            tar_bytes=1,
        )
    )
    result = SavedResult(key, (layer,), (layer,))
    results.save(store.index, results.Saving((key,), "op", SavedCandidate(site, result, ())))
    return layer


def remove(paths: tuple[str, ...]) -> None:
    for path in paths:
        shutil.rmtree(path)


def sizes(paths: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(4096 for _ in paths)


def prune(store: Store, **options: object) -> gc.Doomed:
    return sweep.prune(store, remove, sizes, **options)


def test_a_sweep_takes_rows_snapshots_and_blobs(store: Store, tmp_path):
    with Store.open(str(tmp_path)) as builder:
        layer = make(builder, "k")
    doomed = prune(store)
    assert [each.id for each in doomed.things] == [layer, digest_of(b"packed k")]
    assert results.find(store.index, "k") is None
    assert results.candidates(store.index, "op", 8) == ()
    assert store.layers.packed(layer, "gzip", None, "x") is None
    assert os.listdir(store.snapshots.directory) == []
    assert os.listdir(store.blobs.directory) == []
    assert os.listdir(f"{store.root}/tmp/{store.lease.session}") == []


def test_a_running_builds_layers_stay(store: Store, tmp_path):
    with Store.open(str(tmp_path)) as builder:
        layer = make(builder, "k")
        prune(store)
        assert store.snapshots.find(layer)
        assert builder.blobs.has(digest_of(b"packed k"))


def test_a_named_images_layers_stay(store: Store, tmp_path):
    with Store.open(str(tmp_path)) as builder:
        layer = make(builder, "k")
        config = builder.blobs.put(b"{}")
        builder.names.put(
            NamedImage(name="app:latest", platform="x", config_digest=config, manifest_digest=config, keeps=(layer,))
        )
    prune(store)
    assert store.blobs.has(config)
    assert store.snapshots.find(layer)
    assert store.blobs.has(digest_of(b"packed k"))  # what the layer was packed to stays with it


def test_a_blob_of_a_base_that_was_never_unpacked_stays_with_who_needs_the_base(store: Store, tmp_path):
    base = "sha256:" + "d" * 64
    with Store.open(str(tmp_path)) as builder:
        digest = builder.blobs.put(b"a base's layer")
        builder.layers.add_blob(BlobFact(diff_id=base, digest=digest, media_type="gzip", size_bytes=1))
        builder.names.put(NamedImage(name="x:1", platform="x", config_digest=base, manifest_digest=base, keeps=(base,)))
    prune(store)
    assert store.blobs.has(digest)


def test_what_dead_builds_left_goes(store: Store):
    os.mkdir(f"{store.root}/tmp/123-dead")
    open(f"{store.root}/locks/leases/123-dead", "w").close()
    open(f"{store.root}/locks/blobs/dead", "w").close()
    prune(store)
    assert os.listdir(f"{store.root}/tmp") == [store.lease.session]
    assert os.listdir(f"{store.root}/locks/leases") == [store.lease.session]
    assert os.listdir(f"{store.root}/locks/blobs") == []


def test_a_cache_goes_unless_somebody_is_in_it(store: Store):
    with store.caches.hold("used") as used, store.caches.hold("unused") as unused:
        os.mkdir(used)
        os.mkdir(unused)
    with store.caches.hold("used"):
        prune(store)
    assert os.path.isdir(used)
    assert not os.path.exists(unused)


def test_du_lists_everything_once(store: Store):
    layer = make(store, "k")
    with store.caches.hold("npm") as cache:
        os.mkdir(cache)
    lines = gc.usage(sweep.take_stock(store, sizes))
    assert {line.kind for line in lines} == {gc.LAYER, gc.BLOB, gc.CACHE}
    assert next(line.size_bytes for line in lines if line.id == layer) == 4096
    assert store.layers.get(layer).size_bytes == 4096
