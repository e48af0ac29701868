"""A stack of unpacked layers, exported as files, is what umoci makes of the same image; GNU tar unpacks the same."""

import json
import os
import shutil
import stat
import subprocess

import pytest

from handmade import image_of
from jettison.export.layout import write_layout
from jettison.layer.flatten import export_tree
from jettison.layer.unpack import unpack
from jettison.tree.disk import Disk

pytestmark = [pytest.mark.peer, pytest.mark.root]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def tree_of(root):
    """What lies below a directory: type, mode, owner, time, link set, and content."""
    found = {}
    first = {}
    for at, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = os.path.join(at, name)
            status = os.lstat(path)
            node = [oct(status.st_mode), status.st_uid, status.st_gid, int(status.st_mtime)]
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    node.append(file.read())
                if status.st_nlink > 1:
                    node.append(first.setdefault(status.st_ino, os.path.relpath(path, root)))
            elif stat.S_ISLNK(status.st_mode):
                node.append(os.readlink(path))
            found[os.path.relpath(path, root)] = node
    return found


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_unpacked_layers_make_the_tree_that_umoci_makes(tmp_path, compression):
    image = image_of(str(tmp_path / "blobs"), compression)
    diff_ids = json.loads(image.config)["rootfs"]["diff_ids"]
    snapshots = []
    for number, (layer, diff_id) in enumerate(zip(image.layers, diff_ids, strict=True)):
        snapshots.append(str(tmp_path / f"s{number}"))
        unpack(layer.path, layer.descriptor.media_type, diff_id, snapshots[-1], True, Disk())
    export_tree(snapshots, str(tmp_path / "rootfs.tar"), "tar")
    os.mkdir(tmp_path / "ours")
    run("tar", "--numeric-owner", "-xpf", str(tmp_path / "rootfs.tar"), "-C", str(tmp_path / "ours"))
    ours = tree_of(tmp_path / "ours")
    export_tree(snapshots, str(tmp_path / "plain"), "dir")
    plain = tree_of(tmp_path / "plain")
    assert {path: [node[0], *node[3:]] for path, node in plain.items()} == {
        path: [node[0], *node[3:]] for path, node in ours.items()
    }
    assert {(node[1], node[2]) for node in plain.values()} == {(0, 0)}
    if compression != "zstd":  # Debian's umoci does not know it
        write_layout([image], ("docker.io/library/app:1",), str(tmp_path / "layout"), as_tar=False)
        run("umoci", "unpack", "--image", f"{tmp_path}/layout:1", str(tmp_path / "bundle"))
        assert tree_of(tmp_path / "bundle" / "rootfs") == ours
        shutil.rmtree(tmp_path / "bundle")
