"""The index: whole transactions, clear words for a damaged file, and each concern's facts."""

import os
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from jettison.base.errors import HostError, InputError, InternalError
from jettison.store import results, sweep
from jettison.store.index import Index
from jettison.store.layers import BlobFact, PackedFact
from jettison.store.names import NamedImage, ResolvedRef
from jettison.store.records import KEPT_RECORDS, BuildRow
from jettison.store.stamps import KEPT_ROOTS, Stamp
from jettison.store.store import Store

A, B, C = ("sha256:" + letter * 64 for letter in "abc")


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path)) as opened:
        yield opened


def test_a_transaction_that_raises_leaves_nothing(store: Store):
    def half() -> None:
        with store.index.write() as db:
            db.execute("INSERT INTO layers (layer) VALUES ('s-1')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert store.layers.get("s-1") is None
    store.layers.learn("s-1")
    assert store.layers.get("s-1") is not None


def test_transactions_nest_into_one(store: Store):
    def half() -> None:
        with store.index.write():
            store.layers.learn("s-1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert store.layers.get("s-1") is None


def test_a_damaged_index_is_told_with_what_to_do(tmp_path):
    with Store.open(str(tmp_path)) as store:
        store.layers.learn("s-1")
        path = store.index.path
    with open(path, "r+b") as file:
        file.write(b"\xff" * 4096)
    with pytest.raises(HostError, match="is damaged") as caught:
        Store.open(str(tmp_path))
    assert "remove" in (caught.value.hint or "")
    os.unlink(path)
    with Store.open(str(tmp_path)) as store:
        assert store.layers.get("s-1") is None


def test_damage_within_is_told_too(tmp_path):
    with Store.open(str(tmp_path)) as store:
        for number in range(2000):
            store.layers.learn(f"s-{number:032x}")
        path = store.index.path
    with open(path, "r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (os.path.getsize(path) - 8192))
    with pytest.raises(HostError, match=r"damaged|cannot be used"), Store.open(str(tmp_path)) as store:
        store.index.rows("SELECT * FROM layers ORDER BY size_bytes")


def test_an_index_of_a_later_version_is_refused(tmp_path):
    path = str(tmp_path / "index.sqlite")
    Index(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(HostError, match="another version"):
        Index(path)


def test_an_older_index_may_have_results_of_any_op(tmp_path):
    path = str(tmp_path / "index.sqlite")
    Index(path).close()
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE ops; PRAGMA user_version=2;")
    db.close()
    assert results.known_ops(Index(path), (A,)) == {A}
    assert results.known_ops(Index(str(tmp_path / "new.sqlite")), (A,)) == frozenset()


def test_what_was_adopted_may_be_of_any_op_until_no_result_is_left(store: Store):
    results.adopt(store.index, "key", results.SavedResult("r", (A,), (A,)), ())
    assert results.known_ops(store.index, (A, B)) == {A, B}
    results.forget(store.index, ("key",))
    sweep.prune(store, lambda _paths: None, lambda paths: tuple(0 for _ in paths))
    assert results.known_ops(store.index, (A, B)) == frozenset()


def saving(number: int, *, layer: str = A, site: str = "site") -> results.Saving:
    result = results.SavedResult(f"r{number}", (layer,), (layer,))
    return results.Saving((f"k{number}",), f"op{number}", results.SavedCandidate(site, result, ()))


def test_only_the_ops_that_were_saved_last_are_kept(store: Store):
    results.save(store.index, saving(0), saving(1))
    with store.index.write() as db:
        db.execute("UPDATE ops SET seq=seq+? WHERE op_digest='op1'", (results.KEPT_OPS - 1,))
    results.save(store.index, saving(1), saving(2))
    assert results.known_ops(store.index, ("op0", "op1", "op2")) == {"op1", "op2"}


def test_an_op_that_is_saved_again_counts_as_new_before_it_is_forgotten(store: Store):
    results.save(store.index, saving(0), saving(1))
    with store.index.write() as db:
        db.execute("UPDATE ops SET seq=seq+? WHERE op_digest='op1'", (results.KEPT_OPS // 2,))
    results.save(store.index, saving(0))
    assert store.index.row("SELECT op_digest FROM ops ORDER BY seq DESC LIMIT 1") == ("op0",)


def test_what_is_saved_again_as_it_was_is_not_written_again(store: Store):
    results.save(store.index, saving(0), saving(1, site="elsewhere"))
    size = os.path.getsize(f"{store.index.path}-wal")
    results.save(store.index, saving(0), saving(1, site="elsewhere"))
    assert os.path.getsize(f"{store.index.path}-wal") == size
    results.save(store.index, saving(0, layer=B))
    assert os.path.getsize(f"{store.index.path}-wal") > size
    assert results.find(store.index, "k0") == results.SavedResult("r0", (B,), (B,))


def test_what_comes_back_is_the_newest_again(store: Store):
    for layer in (A, B, A):
        results.save(store.index, saving(0, layer=layer))
    assert results.layers_of(store.index, "op0", 8) == (A, B)
    assert results.last_at(store.index, "site").result.added == (A,)


PROGRAM = """
import os, sys
from jettison.base import program
from jettison.store.index import Index
program.claim()
index = Index(sys.argv[1])
with index.write() as db:
    for number in range(int(sys.argv[2])):
        db.execute("INSERT INTO answers VALUES (?,?,0)", (f"{sys.argv[3]} {number}", bytes(4000)))
index.close()
os._exit(0)
"""


@pytest.mark.parametrize(("rows", "is_left"), [(10, True), (1000, False)])
def test_a_program_leaves_a_short_wal_and_moves_a_long_one(tmp_path, rows: int, is_left: bool):
    path = str(tmp_path / "index.sqlite")
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", PROGRAM, path, str(rows), name], check=True)
        assert (os.path.getsize(f"{path}-wal") > 5000) == is_left
    assert Index(path).row("SELECT count(*) FROM answers") == (2 * rows,)


def test_it_is_never_used_across_a_fork(store: Store):
    pid = os.fork()
    if pid == 0:
        try:
            store.index.rows("SELECT 1")
        except InternalError:
            os._exit(17)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 17


def test_what_is_learnt_of_a_layer_adds_up(store: Store):
    store.layers.learn("s-1", diff_id=A)
    store.layers.learn("s-1", content_digest=B, size_bytes=12)
    store.layers.learn("s-1")
    fact = store.layers.get("s-1")
    assert (fact.diff_id, fact.content_digest, fact.size_bytes) == (A, B, 12)
    assert fact.created_s > 0


def test_a_layers_blobs_and_where_they_are(store: Store):
    store.layers.add_blob(BlobFact(diff_id=A, digest=B, media_type="gzip", size_bytes=5, sources=("x.test/app",)))
    store.layers.add_blob(BlobFact(diff_id=A, digest=B, media_type="gzip", size_bytes=5, sources=("y.test/app",)))
    store.layers.add_blob(BlobFact(diff_id=A, digest=C, media_type="zstd", size_bytes=4))
    found = store.layers.blobs_of(A)
    assert [fact.digest for fact in found] == [B, C]
    assert found[0].sources == ("x.test/app", "y.test/app")
    assert store.layers.blobs_of(B) == ()


def test_a_layer_is_packed_once_for_each_way(store: Store):
    fact = PackedFact(
        layer="s-1",
        compression="gzip",
        clamp_epoch=None,
        compressor="isal 1.7 level 1",
        diff_id=A,
        digest=B,
        size_bytes=5,
        tar_bytes=10,
    )
    store.layers.add_packed(fact)
    assert store.layers.packed("s-1", "gzip", None, "isal 1.7 level 1") == fact
    assert store.layers.packed("s-1", "gzip", 0, "isal 1.7 level 1") is None
    assert store.layers.packed("s-1", "gzip", None, "isal 1.8 level 1") is None


def named(name: str, platform: str = "linux/amd64", config: str = A) -> NamedImage:
    return NamedImage(
        name=name, platform=platform, config_digest=config, manifest_digest=B, created_s=7, keeps=("s-1", C)
    )


def test_a_name_means_its_newest_image(store: Store):
    store.names.put(named("app:latest"), named("app:latest", "linux/arm64"))
    store.names.put(named("app:latest", config=C))
    assert store.names.all() == (named("app:latest", config=C),)
    assert store.names.get("app:latest").keeps == ("s-1", C)
    assert store.names.get("app:latest", "linux/arm64") is None
    assert store.names.remove("app:latest")
    assert not store.names.remove("app:latest")


def test_references_are_remembered_by_platform(store: Store):
    resolved = ResolvedRef(ref="x:1", platform="linux/amd64", manifest_digest=A, config_digest=B, resolved_s=7)
    store.refs.put(resolved)
    assert store.refs.get("x:1", "linux/amd64") == resolved
    assert store.refs.get("x:1", "linux/arm64") is None
    store.refs.forget("x:1", "linux/amd64")
    assert store.refs.get("x:1", "linux/amd64") is None


def stamps(count: int) -> dict[str, Stamp]:
    return {
        f"src/lib/file-{number}.js": Stamp(number, 10**18, 10**18 + number, number, 0o100644, A)
        for number in range(count)
    }


def test_stamps_come_back(store: Store):
    store.stamps.save("/context", stamps(10))
    store.stamps.save("/context", stamps(3))
    assert store.stamps.load("/context") == stamps(3)
    assert store.stamps.load("/other") == {}


def test_names_that_are_not_utf8_are_left_out_of_the_stamps(store: Store):
    store.stamps.save("/context", {"a\udcff": Stamp(1, 1, 1, 1, 1, A), **stamps(1)})
    assert store.stamps.load("/context") == stamps(1)


def test_only_so_many_contexts_are_remembered(store: Store):
    for number in range(KEPT_ROOTS + 3):
        store.stamps.save(f"/context{number}", stamps(1))
    assert store.stamps.load("/context0") == {}
    assert store.stamps.load(f"/context{KEPT_ROOTS + 2}") == stamps(1)


def test_records_are_listed_newest_first_and_read(store: Store):
    for number in (1, 2):
        build = BuildRow(id=f"b{number}", started=f"2026-01-0{number}T00:00:00Z", outcome="done")
        store.records.write(build.id, msgspec.json.encode(build))
    store.records.write("b0", b"damaged")
    assert [build.id for build in store.records.list()] == ["b2", "b1"]
    assert store.records.list()[0].started == "2026-01-02T00:00:00Z"
    assert store.records.read("b0") == b"damaged"
    with pytest.raises(InputError, match="no record"):
        store.records.read("b3")
    with pytest.raises(InputError, match="not the id of a build"):
        store.records.read("../version")


def test_old_records_go(store: Store):
    for number in range(KEPT_RECORDS + 2):
        store.records.write(f"b{number:04}", b"{}")
    assert len(store.records.ids()) == len(os.listdir(f"{store.root}/records")) == KEPT_RECORDS
    assert store.records.ids()[-1] == "b0002"


def test_naming_an_image_again_writes_nothing(store: Store):
    image = NamedImage(name="app", platform="linux/amd64", config_digest=A, manifest_digest="", created_s=7)
    store.names.put(image)
    before = store.index.row("SELECT total_changes()")
    store.names.put(msgspec.structs.replace(image, created_s=0))
    assert store.index.row("SELECT total_changes()") == before
    store.names.put(msgspec.structs.replace(image, created_s=0, config_digest=B))
    named = store.names.get("app")
    assert named is not None
    assert (named.config_digest, named.created_s > 7) == (B, True)


def test_an_index_from_before_a_table_gets_it(tmp_path):
    path = str(tmp_path / "index.sqlite")
    Index(path).close()
    db = sqlite3.connect(path)
    db.execute("DROP TABLE answers")
    db.execute("PRAGMA user_version=1")
    db.commit()
    db.close()
    index = Index(path)
    assert index.rows("SELECT * FROM answers") == []
    index.close()
