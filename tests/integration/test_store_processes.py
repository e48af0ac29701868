"""Several processes use one store at once; one is killed in the middle: nothing is damaged."""

import os
import signal
import subprocess
import sys

import pytest

from jettison.base.digest import digest_of
from jettison.store import results, sweep
from jettison.store.store import Store

DATA = b"x" * (3 << 20)

BUILD = """
import sys, os
from jettison.store import results
from jettison.store.results import SavedCandidate, SavedResult, Saving
from jettison.store.store import Store

home, number = sys.argv[1], sys.argv[2]
data = b"x" * (3 << 20)
digest = DIGEST
sys.stdin.readline()  # all begin together
with Store.open(home) as store:
    fetched = store.blobs.fetch(digest, len(data), lambda: [data[:1 << 20], data[1 << 20:]], None)
    for turn in range(20):
        layer, path = store.new_snapshot()
        os.mkdir(path)
        store.keep_snapshot(layer)
        saved = SavedResult(number, (layer,), (layer,))
        results.save(store.index, Saving((f"{number}.{turn}", "shared"), "op", SavedCandidate("site", saved, ())))
        assert results.find(store.index, f"{number}.{turn}") == saved
        assert store.snapshots.all_whole((layer,))
print("fetched" if fetched else "found")
""".replace("DIGEST", repr(digest_of(DATA)))

INGEST = """
import sys
from jettison.store.store import Store

store = Store.open(sys.argv[1])
with store.blobs.lock(DIGEST), store.blobs.ingest(DIGEST) as writer:
    writer.write(b"x" * (1 << 20))
    print("half", flush=True)
    sys.stdin.readline()
""".replace("DIGEST", repr(digest_of(DATA)))


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_several_processes_make_and_use_one_store(tmp_path):
    builds = [start(BUILD, str(tmp_path), str(number)) for number in range(4)]
    said = [build.communicate("go\n")[0].strip() for build in builds]
    assert [build.returncode for build in builds] == [0, 0, 0, 0]
    assert sorted(said) == ["fetched", "found", "found", "found"]
    with Store.open(str(tmp_path)) as store:
        assert store.blobs.read(digest_of(DATA)) == DATA
        assert all(results.find(store.index, f"{number}.{turn}") for number in range(4) for turn in range(20))
        assert len(os.listdir(store.snapshots.directory)) == 80
        assert os.listdir(f"{store.root}/locks/leases") == []


def test_a_build_killed_in_the_middle_leaves_a_good_store(tmp_path):
    build = start(INGEST, str(tmp_path))
    assert build.stdout is not None
    assert build.stdout.readline() == "half\n"
    build.send_signal(signal.SIGKILL)
    build.communicate()
    with Store.open(str(tmp_path)) as store:
        assert not store.blobs.has(digest_of(DATA))
        assert store.blobs.fetch(digest_of(DATA), len(DATA), lambda: [DATA], None)  # the dead hold no lock
        rubbish = store.rubbish()
        assert [os.path.dirname(path) for path in rubbish] == [f"{store.root}/tmp"]
        removed: list[str] = []
        sweep.prune(store, removed.extend, lambda paths: (0,) * len(paths))
        assert [os.path.dirname(path) for path in removed] == [f"{store.root}/tmp/{store.lease.session}"]
        assert not any(map(os.path.exists, rubbish))  # moved to where nobody else removes them, too
        assert store.blobs.read(digest_of(DATA)) == DATA


@pytest.mark.parametrize("turn", range(3))
def test_a_build_killed_at_any_moment_leaves_a_good_index(tmp_path, turn: int):
    build = start(BUILD.replace("range(20)", "range(100000)"), str(tmp_path), "1")
    assert build.stdin is not None
    build.stdin.write("go\n")
    build.stdin.flush()
    with Store.open(str(tmp_path)) as store:
        while results.find(store.index, f"1.{turn * 7}") is None:
            assert build.poll() is None
        build.send_signal(signal.SIGKILL)
        build.communicate()
        assert store.index.rows("PRAGMA integrity_check") == [("ok",)]
        found = results.find(store.index, "shared")
        assert found is not None
        assert store.snapshots.all_whole(found.layers)
