"""Layers as tars made by hand, entry by entry, and unpacked."""

import gzip
import hashlib
import os

import pytest

from jettison.layer.tarwrite import END, header
from jettison.layer.unpack import unpack
from jettison.tree.disk import Disk
from jettison.tree.manifest import read_rows

SECOND = 1_000_000_000
DISK = Disk("trusted" if os.geteuid() == 0 else "user")
root_only = pytest.mark.root


def entry(name, kind=b"0", content=b"", **more):
    """One entry of a tar. `link` and `mode` as in `header`."""
    made = header(os.fsencode(name), kind, more.pop("mode", 0o755), size=len(content), **more)
    return made + content + bytes(-len(content) % 512)


def folder(name, **more):
    return entry(name, b"5", **more)


def link(name, target, **more):
    return entry(name, b"1", link=target.encode(), **more)


def symlink(name, target):
    return entry(name, b"2", link=target.encode())


class Layers:
    """Unpacks tars given as bytes below a directory; the rows of the last, and what lies on the disk."""

    def __init__(self, directory, files):
        self.directory = directory
        self.files = files
        self.count = 0
        self.warnings = []
        self.out = ""

    def unpack(self, *entries, below=None, diff_id=None):
        tar = b"".join(entries) + END
        self.count += 1
        self.out = os.path.join(self.directory, f"s{self.count}")
        blob = os.path.join(self.directory, f"blob{self.count}")
        with open(blob, "wb") as file:
            file.write(gzip.compress(tar))
        made = unpack(
            blob,
            "application/vnd.oci.image.layer.v1.tar+gzip",
            diff_id or "sha256:" + hashlib.sha256(tar).hexdigest(),
            self.out,
            self.files,
            DISK,
            below=below,
            warn=self.warnings.append,
        )
        rows = {row.path: row for row in read_rows(self.out)}
        assert made.rows == len(rows)
        return rows

    def path(self, path):
        return os.path.join(self.out, "files", path)

    def read(self, path):
        with open(self.path(path), "rb") as file:
            return file.read()


@pytest.fixture(params=[False, pytest.param(True, marks=root_only)], ids=["manifest", "files"])
def layers(tmp_path, request):
    return Layers(str(tmp_path), request.param)


@pytest.fixture
def on_disk(tmp_path):
    return Layers(str(tmp_path), True)
