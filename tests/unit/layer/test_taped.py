"""taped: a layer that is written while its snapshot is made is the one that packing the snapshot afterwards gives."""

import os

import pytest

from jettison.base.errors import HostError
from jettison.layer.pack import pack, taped
from jettison.planning.ops import CopyOp, CopySource
from jettison.tree.commit import LiveView, commit
from jettison.tree.disk import Disk
from jettison.tree.manifest import Head
from jettison.tree.row import FILE, Row
from jettison.tree.view import DirectoryView, StackView
from jettison.tree.write import copy_step

FILES = {"a/small": b"small", "a/empty": b"", "b/big": os.urandom(700_000) + bytes(2_500_000), "z": b"z" * 512}
MANY = {f"many/{number % 7}/{number}": b"%d" % number * 300 for number in range(1_300)}


def context(root, files):
    for path, data in files.items():
        at = root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(data)
        os.utime(at, ns=(10**18, 10**18))
    (root / "link").symlink_to("a/small")
    os.link(root / "a/small", root / "a/twin")
    return root


def copy(view, out, tape, workers=1):
    op = CopyOp(sources=(CopySource(1, "/"),), dest="/to", dest_is_dir=True)
    copy_step(
        op,
        (),
        [view],
        str(out),
        disk=Disk("user"),
        head=Head(tier="root"),
        unarchive=lambda *_: None,
        workers=workers,
        tape=tape,
    )


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed", ""])
@pytest.mark.parametrize(("workers", "clamp"), [(1, 5), (3, None)])
def test_of_a_copy(tmp_path, compression, workers, clamp):
    view = DirectoryView(str(context(tmp_path / "context", FILES | MANY)))
    blobs, again = tmp_path / "blobs", tmp_path / "again"
    blobs.mkdir()
    again.mkdir()
    with taped(str(blobs) if compression else "", compression or "gzip", clamp) as taping:
        copy(view, tmp_path / "out", taping.tape, workers)
    packed = pack(str(tmp_path / "out"), str(again) if compression else "", compression or "gzip", clamp)
    assert taping.packed == packed
    assert os.listdir(blobs) == os.listdir(again)
    for name in os.listdir(blobs):
        assert (blobs / name).read_bytes() == (again / name).read_bytes()
        assert (blobs / name).stat().st_mode == (again / name).stat().st_mode


@pytest.mark.parametrize("workers", [1, 3])
def test_of_a_copy_that_links_what_a_stage_has(tmp_path, workers):
    copy(DirectoryView(str(context(tmp_path / "context", FILES | MANY))), tmp_path / "stage", None)
    with taped("") as taping:
        copy(StackView([str(tmp_path / "stage")]), tmp_path / "out", taping.tape, workers)
    assert taping.packed == pack(str(tmp_path / "out"), "")
    one, two = (os.lstat(tmp_path / path) for path in ("stage/files/to/b/big", "out/files/to/to/b/big"))
    assert one.st_ino == two.st_ino


@pytest.mark.parametrize("workers", [1, 3])
def test_of_what_a_step_left(tmp_path, workers):
    context(tmp_path / "step/files", FILES | MANY)
    (tmp_path / "empty").mkdir()
    with taped("") as taping:
        rows = commit(
            str(tmp_path / "step"),
            LiveView(str(tmp_path / "empty")),
            str(tmp_path / "out"),
            namespace="user",
            head=Head(tier="root"),
            tape=taping.tape,
            workers=workers,
        )
    assert all(row.digest for row in rows if row.type == FILE and row.size)
    assert taping.packed == pack(str(tmp_path / "out"), "")


class Growing(DirectoryView):
    """A context one of whose files has more bytes when it is read than when it was looked at."""

    def open(self, path):
        if path == "b/big":
            with open(self.where(path), "ab") as file:
                file.write(b"more")
        return super().open(path)


def test_a_file_that_grows_meanwhile_spoils_the_layer_and_not_the_copy(tmp_path):
    view = Growing(str(context(tmp_path / "context", FILES)))
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    with taped(str(blobs)) as taping:
        copy(view, tmp_path / "out", taping.tape)
    assert taping.packed is None
    assert os.listdir(blobs) == []
    size = os.path.getsize(tmp_path / "out/files/to/b/big")
    assert size == len(FILES["b/big"]) + 4
    assert pack(str(tmp_path / "out"), "").tar_bytes > size


def broken_off(blobs):
    with taped(blobs) as taping:
        taping.tape.row(Row("f", FILE, 0o644, size=3 << 20))
        taping.tape.write(memoryview(bytes(3 << 20)))
        raise HostError("stop")


def test_a_block_that_raises_leaves_no_blob(tmp_path):
    with pytest.raises(HostError, match="stop"):
        broken_off(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(HostError, match="cannot write a layer"), taped(str(tmp_path / "none")):
        pass
