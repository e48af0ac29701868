"""Snapshots, leases, scratch directories and cache mounts."""

import os
import shutil
import threading

import pytest

from jettison.base.errors import Cancelled
from jettison.store.boots import boot_id
from jettison.store.leases import living
from jettison.store.snapshots import MADE_IN, directory_name, layer_of
from jettison.store.store import Store

BASE = "sha256:" + "b" * 64


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def other(tmp_path, store: Store):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def make(store: Store) -> str:
    layer, path = store.new_snapshot()
    os.mkdir(path)
    store.keep_snapshot(layer)
    return layer


def test_a_snapshot_is_there_when_it_is_whole(store: Store):
    layer, path = store.new_snapshot()
    os.mkdir(path)
    assert store.snapshots.find(layer) is None
    store.keep_snapshot(layer)
    assert store.snapshots.find(layer) == store.snapshot_path(layer)
    assert os.listdir(f"{store.root}/tmp/{store.lease.session}") == []


def test_the_second_of_two_builds_finds_it_done(store: Store, other: Store):
    for each in (store, other):
        path = each.snapshots.aside(BASE)
        os.mkdir(path)
        os.mkdir(f"{path}/files")
    assert store.snapshots.keep(BASE)
    assert not other.snapshots.keep(BASE)
    assert other.rubbish() == (other.snapshots.aside(BASE),)


def test_a_dropped_snapshot_is_rubbish(store: Store):
    layer = make(store)
    assert store.snapshots.all_whole((layer,))
    assert store.snapshots.find(layer)
    store.snapshots.drop(layer)
    store.snapshots.drop(layer)
    assert not store.snapshots.all_whole((layer,))
    assert [os.path.dirname(path) for path in store.rubbish()] == [store.lease.tmp()]


def test_rows_without_files_are_a_lesser_snapshot(store: Store):
    os.mkdir(store.snapshots.aside(BASE, files=False))
    store.snapshots.keep(BASE, files=False)
    assert store.snapshots.find(BASE) is None
    assert store.snapshots.find(BASE, files=False) == store.snapshots.path(BASE, files=False)
    os.mkdir(store.snapshots.aside(BASE))
    store.snapshots.keep(BASE)
    assert store.snapshots.find(BASE, files=False) == store.snapshots.path(BASE)


@pytest.mark.parametrize("layer", ["", "s-", "s-../x", "x", "sha256:x", "s-12/3", "s-G"])
def test_only_layers_name_snapshots(layer: str):
    with pytest.raises(ValueError, match="not the id of a layer"):
        directory_name(layer)


@pytest.mark.parametrize("layer", [BASE, "s-0123456789abcdef"])
def test_directories_name_their_layers(layer: str):
    assert layer_of(directory_name(layer)) == layer
    assert layer_of(directory_name(layer) + ".rows") == layer
    assert layer_of("lost+found") is None


def test_what_is_used_is_pinned_for_others_to_see(store: Store, other: Store):
    layer = make(store)
    digest = store.blobs.put(b"x")
    assert living(other.root)[1] >= {layer, digest}
    store.lease.release()
    assert not living(other.root)[1] & {layer, digest}
    assert other.snapshots.find(layer)
    assert layer in living(other.root)[1]


def test_a_store_that_is_only_looked_at_leaves_no_lease(store: Store):
    store.names.all()
    assert os.listdir(f"{store.root}/locks/leases") == []


def test_a_scratch_directory_goes_when_it_is_empty(store: Store):
    with store.scratch() as path:
        assert os.listdir(path) == []
    assert not os.path.exists(path)
    with store.scratch() as path:
        open(f"{path}/file", "w").close()
    assert store.rubbish() == (path,)


def test_passing_shared_twice_in_one_thread_and_in_two(store: Store):
    inside = threading.Event()
    leave = threading.Event()

    def pass_through() -> None:
        with store.gate.shared():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=pass_through)
    with store.gate.shared(), store.gate.shared():
        thread.start()
        assert inside.wait(10)
    leave.set()
    thread.join()
    with store.gate.exclusive():
        pass


def test_whoever_passes_alone_passes_alone(store: Store, other: Store):
    class Set:
        def is_set(self) -> bool:
            return True

    with store.gate.shared(), pytest.raises(Cancelled), other.gate.exclusive(Set()):
        pass


def test_a_shared_cache_is_one_directory(store: Store, other: Store):
    with store.caches.hold("npm") as one, other.caches.hold("npm") as two, store.caches.hold("pip") as third:
        assert one == two != third


def test_a_private_cache_is_another_directory_while_the_first_is_used(store: Store, other: Store):
    with store.caches.hold("npm", "private") as one, other.caches.hold("npm", "private") as two:
        assert one != two
    with other.caches.hold("npm", "private") as again:
        assert again == one


def test_a_locked_cache_is_waited_for(store: Store, other: Store):
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        with other.caches.hold("npm", "locked"):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.caches.hold("npm", "locked"):
        thread.start()
        begun.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_fresh_cache_begins_empty(store: Store):
    for sharing in ("shared", "locked", "private"):
        with store.caches.hold(sharing, sharing) as path:
            os.mkdir(path)
            open(f"{path}/old", "w").close()
        with store.caches.hold(sharing, sharing, empty=shutil.rmtree) as again:
            assert again == path
            assert not os.path.exists(path)


def test_a_snapshot_of_another_boot_is_doubted_until_it_is_proved(store: Store):
    layer = make(store)
    assert store.snapshots.doubted(layer) is None
    mark = os.path.join(store.snapshot_path(layer), MADE_IN)
    os.unlink(mark)
    os.symlink("an-earlier-boot", mark)
    assert store.snapshots.all_whole((layer,))  # its bytes are not needed to say so
    assert store.snapshots.find(layer) is None
    assert store.snapshots.doubted(layer) == store.snapshot_path(layer)
    store.snapshots.prove(layer)
    assert store.snapshots.doubted(layer) is None
    assert store.snapshots.find(layer) == store.snapshot_path(layer)


def test_what_was_synced_is_never_doubted(store: Store):
    os.mkdir(store.snapshots.aside(BASE))
    assert store.snapshots.keep(BASE, synced=True)
    assert not os.path.lexists(os.path.join(store.snapshot_path(BASE), MADE_IN))


@pytest.mark.parametrize("text", ["", "../../up\n", "x" * 60, "\xe9"])
def test_a_kernel_that_does_not_name_its_boots_is_another_one_every_time(tmp_path, text: str):
    path = tmp_path / "boot_id"
    path.write_bytes(text.encode("latin-1"))
    assert boot_id(str(path)) != boot_id(str(path))
    assert boot_id(str(tmp_path / "missing")) != boot_id(str(tmp_path / "missing"))
    path.write_text("0b3a-11\n")
    assert boot_id(str(path)) == "0b3a-11"
