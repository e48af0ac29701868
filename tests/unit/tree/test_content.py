"""Content digests: what is read is covered, what is not is not, and files whose stamps are known are not opened."""

import hashlib
import os
import time

import pytest
from trees import directory, snapshot

from jettison.base.errors import InputError
from jettison.planning.ops import BindMount, CacheMount, CopyOp, CopySource, RunOp
from jettison.syntax.glob import has_wildcard
from jettison.tree.content import MAX_PARTS, input_digest, snapshot_digest
from jettison.tree.digests import LARGE_BYTES
from jettison.tree.view import DirectoryView, StackView


def copy(*paths, **more):
    found = tuple(CopySource(1, path, wildcard=has_wildcard(path)) for path in paths)
    return CopyOp(sources=found, dest="/x", dest_is_dir=True, **more)


class Index:
    """A DigestIndex in memory that counts."""

    def __init__(self):
        self.known = {}
        self.asked = self.hits = 0

    def get(self, path, stamp):
        self.asked += 1
        found = self.known.get(path)
        self.hits += found is not None and found[0] == stamp
        return found[1] if found is not None and found[0] == stamp else None

    def put(self, path, stamp, digest):
        self.known[path] = (stamp, digest)


@pytest.fixture
def digest_of(tmp_path):
    """The digest of an op over a tree, as a context or as a stage."""
    count = iter(range(1000))

    def found(tree, op, *, stage=False, ignore=()):
        at = tmp_path / str(next(count))
        view = StackView([snapshot(at, tree)]) if stage else DirectoryView(directory(at, tree), ignore)
        return input_digest(op, 1, view).digest

    return found


SAME = {"d/f": "644 0:0 F", "d/e/g": "755 0:0 G", "d/l": "-> f", "other": "644 0:0 O"}


@pytest.mark.parametrize("stage", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"d/f": "644 0:0 X"}, {"d/f": "600 0:0 F"}, {"d/f": "644 0:0 FF"}, {"d/l": "-> g"}, {"d/new": ""},
        {"d/f": "-> x"}, {"d/e/": "700"}, {"d/f2": "= d/f"}, {"d/n/": ""},
    ],
)  # fmt: skip
def test_a_change_of_what_is_read_is_seen(digest_of, change, stage):
    assert digest_of(SAME, copy("/d"), stage=stage) != digest_of(SAME | change, copy("/d"), stage=stage)


@pytest.mark.parametrize("stage", [False, True])
@pytest.mark.parametrize("change", [{"other": "600 0:0 X"}, {"d/": "700"}, {"z/y": ""}])
def test_a_change_of_what_is_not_read_is_not_seen(digest_of, change, stage):
    assert digest_of(SAME, copy("/d"), stage=stage) == digest_of(SAME | change, copy("/d"), stage=stage)


def test_owners_count_in_a_stage_and_not_in_a_context(digest_of):
    changed = SAME | {"d/f": "644 1:2 F"}
    assert digest_of(SAME, copy("/d")) == digest_of(changed, copy("/d"))
    assert digest_of(SAME, copy("/d"), stage=True) != digest_of(changed, copy("/d"), stage=True)


def test_a_context_and_a_stage_of_equal_content_are_equal(digest_of):
    assert digest_of(SAME, copy("/d")) == digest_of(SAME, copy("/d"), stage=True)


def test_times_do_not_count(tmp_path):
    root = directory(tmp_path / "c", SAME)
    before = input_digest(copy("/d"), 1, DirectoryView(root))
    os.utime(f"{root}/d/f", ns=(1, 1))
    assert input_digest(copy("/d"), 1, DirectoryView(root)) == before


def test_names_of_matches_count(digest_of):
    tree = {"a": "644 0:0 A", "b": "644 0:0 A"}
    assert digest_of(tree, copy("/a")) != digest_of(tree, copy("/b"))
    assert digest_of({"a1": ""}, copy("/a*")) != digest_of({"a2": ""}, copy("/a*"))
    assert digest_of({"a1": ""}, copy("/b*")) == digest_of({}, copy("/b*"))


def test_excluded_ignored_and_not_kept_paths_do_not_count(digest_of):
    changed = SAME | {"d/e/g": "600 0:0 X"}
    for op in (copy("/d", excludes=("e/g",)), copy("/d/f", parents=True), copy("/d/*", excludes=("*g",))):
        assert digest_of(SAME, op) == digest_of(changed, op)
    assert digest_of(SAME, copy("/d"), ignore=("d/e/g",)) == digest_of(changed, copy("/d"), ignore=("d/e/g",))
    assert digest_of(SAME, copy("/d", excludes=("f",))) != digest_of(changed, copy("/d", excludes=("f",)))


def test_a_bind_mount_reads_its_source(digest_of):
    op = RunOp(args=("x",), env=(), cwd="/", mounts=(BindMount(target="/m", input=1, source="/d"),))
    seed = RunOp(args=("x",), env=(), cwd="/", mounts=(CacheMount(target="/m", id="c", input=1, source="/d"),))
    for reading in (op, seed):
        assert digest_of(SAME, reading) == digest_of(SAME | {"other": "600"}, reading)
        assert digest_of(SAME, reading) != digest_of(SAME | {"d/e/g": "600"}, reading)
        assert digest_of(SAME, reading) != digest_of(SAME | {"d/": "700"}, reading)  # it is seen, being mounted


@pytest.mark.parametrize(
    "op", [copy("/nope"), RunOp(args=(), env=(), cwd="/", mounts=(BindMount(target="/m", input=1, source="/nope"),))]
)
def test_a_missing_source_is_an_error(tmp_path, op):
    with pytest.raises(InputError, match=r'failed to compute cache key: .*"/nope": not found'):
        input_digest(op, 1, DirectoryView(directory(tmp_path / "c", {})))


def test_other_inputs_are_not_read(digest_of):
    op = CopyOp(sources=(CopySource(2, "/nope"),), dest="/x", dest_is_dir=True)
    assert digest_of({}, op) == digest_of(SAME, op)


def scanned(op, view, index=None):
    """The digest by a scan an hour from now: everything that exists is old."""
    return input_digest(op, 1, view, index, now_ns=time.time_ns() + 3600 * 10**9)


class Sealed(DirectoryView):
    """A context of which no file may be opened."""

    def open(self, path):
        pytest.fail(f"{path} was opened")


class SealedStack(StackView):
    def open(self, path):
        pytest.fail(f"{path} was opened")


@pytest.mark.parametrize("ignore", [(), ("*.md",)])
@pytest.mark.parametrize("op", [copy("/d"), copy("/d", excludes=("e",)), copy("/d/f", "/d/e"), copy("/d/*")])
def test_an_index_changes_no_digest_and_spares_reading(tmp_path, op, ignore):
    root = directory(tmp_path / "c", SAME | {"d/empty": "", "d/h": "= d/f", "d/p": "600 0:0 fifo"})
    without = input_digest(op, 1, DirectoryView(root, ignore))
    index = Index()
    assert scanned(op, DirectoryView(root, ignore), index) == without
    assert scanned(op, Sealed(root, ignore), index) == without
    assert index.hits >= len(index.known) > 0


def test_a_file_that_is_too_new_is_not_remembered(tmp_path):
    root = directory(tmp_path / "c", SAME)
    index = Index()
    newest = max(os.lstat(f"{root}/d/{name}").st_ctime_ns for name in ("f", "e/g"))
    input_digest(copy("/d"), 1, DirectoryView(root), index, now_ns=newest)
    assert index.known == {}


def test_a_changed_stamp_is_read_again(tmp_path):
    root = directory(tmp_path / "c", SAME)
    index = Index()
    before = scanned(copy("/d"), DirectoryView(root), index)
    with open(f"{root}/d/f", "r+b") as file:
        file.write(b"Z")
    os.utime(f"{root}/d/f", ns=(1_500_000_000 * 10**9,) * 2)  # size and mtime as they were: ctime tells
    assert scanned(copy("/d"), DirectoryView(root), index).digest != before.digest


def test_attributes_are_covered_by_what_is_remembered(tmp_path):
    root = directory(tmp_path / "c", SAME)
    index = Index()
    before = scanned(copy("/d"), DirectoryView(root), index)
    os.setxattr(f"{root}/d/f", "user.note", b"1")
    after = scanned(copy("/d"), DirectoryView(root), index)
    assert after.digest != before.digest
    assert scanned(copy("/d"), DirectoryView(root), index) == after == input_digest(copy("/d"), 1, DirectoryView(root))
    os.setxattr(f"{root}/d/f", "user.overlay.opaque", b"y")
    assert scanned(copy("/d"), DirectoryView(root), index) == after


def test_large_files_are_hashed_as_all_are(tmp_path):
    root = directory(tmp_path / "c", {f"d/{n}": "" for n in range(6)})
    for n in range(6):
        with open(f"{root}/d/{n}", "wb") as file:
            file.truncate(LARGE_BYTES + n - 2)
    index = Index()
    scanned(copy("/d"), DirectoryView(root), index)
    for n in range(6):
        assert index.known[f"d/{n}"][1] == "sha256:" + hashlib.sha256(bytes(LARGE_BYTES + n - 2)).hexdigest()
    assert scanned(copy("/d"), Sealed(root), index) == input_digest(copy("/d"), 1, DirectoryView(root))


def test_parts_name_what_changed(tmp_path):
    root = directory(tmp_path / "c", SAME)
    before = {part.name: part.value for part in input_digest(copy("/d"), 1, DirectoryView(root)).parts}
    assert set(before) == {"/d", "/d/e", "/d/f", "/d/l", "/d/e/g"}
    with open(f"{root}/d/e/g", "w") as file:
        file.write("changed")
    after = {part.name: part.value for part in input_digest(copy("/d"), 1, DirectoryView(root)).parts}
    assert [name for name in after if after[name] != before[name]] == ["/d/e/g"]


def test_parts_are_few(tmp_path):
    tree = {f"d/{n // 30}/{n}": "" for n in range(600)} | {f"wide/{n}": "" for n in range(MAX_PARTS + 50)}
    root = directory(tmp_path / "c", tree)
    parts = input_digest(copy("/"), 1, DirectoryView(root)).parts
    assert len(parts) <= MAX_PARTS
    names = {part.name for part in parts}
    assert "/wide" in names
    assert "/d/7" in names or "/d/7/210" in names


def test_names_that_are_not_utf8(tmp_path):
    root = directory(tmp_path / "c", {"d/caf\udce9": "644 0:0 x", "d/l": "-> \udcff"})
    index = Index()
    found = scanned(copy("/d"), DirectoryView(root), index)
    assert found == scanned(copy("/d"), DirectoryView(root), index)
    assert "/d/caf\\xe9" in {part.name for part in found.parts}


def test_a_snapshots_digest_is_of_its_rows_without_times(tmp_path):
    one = snapshot(tmp_path / "1", SAME | {"x": "gone"})
    two = snapshot(tmp_path / "2", SAME | {"x": "gone"})
    assert snapshot_digest(one) == snapshot_digest(two) == snapshot_digest(one)
    for number, change in enumerate(
        [{"d/f": "644 0:0 X"}, {"x": ""}, {"y": "gone"}, {"d/e/": "755 0:0 opaque"}, {"d/f": "644 1:0 F"}]
    ):
        assert snapshot_digest(one) != snapshot_digest(snapshot(tmp_path / f"c{number}", SAME | {"x": "gone"} | change))


def test_digests_of_a_stage_are_kept_beside_it(tmp_path):
    path = snapshot(tmp_path / "1", SAME)
    before = input_digest(copy("/d"), 1, StackView([path]))
    assert os.path.exists(f"{path}/digests")
    assert input_digest(copy("/d"), 1, SealedStack([path])) == before
    with open(f"{path}/digests", "wb") as file:
        file.write(b"damaged")
    assert input_digest(copy("/d"), 1, StackView([path])) == before


def test_a_proof_reads_what_lies_there_whatever_is_remembered(tmp_path):
    path = snapshot(tmp_path / "1", SAME)
    digest = snapshot_digest(path)
    assert os.path.exists(f"{path}/digests")
    assert snapshot_digest(path, proof=True) == digest
    with open(f"{path}/files/d/f", "r+b") as file:
        file.write(b"\0")
    assert snapshot_digest(path) == digest
    assert snapshot_digest(path, proof=True) != digest
