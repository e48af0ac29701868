"""Write an OCI image layout: sorted layers with fixed times, gzip without a clock, config with history."""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from typing import IO

EPOCH = 1704067200  # every time in a base: 2024-01-01, so that the same packages give the same bytes
CREATED = "2024-01-01T00:00:00Z"


class Layer:
    """The entries of one layer by path, written in sorted order; a later entry of the same path wins."""

    def __init__(self, created_by: str) -> None:
        self.created_by = created_by
        self.entries: dict[str, tuple[tarfile.TarInfo, bytes | None]] = {}

    def add(self, info: tarfile.TarInfo, data: bytes | None = None) -> None:
        """Take over an entry of another archive: its time becomes the epoch, its owner's name is dropped."""
        info.name = info.name.strip("/").removeprefix("./")
        info.mtime, info.uname, info.gname = EPOCH, "", ""
        info.pax_headers = {key: text for key, text in info.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        if info.islnk():
            info.linkname = info.linkname.removeprefix("./").lstrip("/")
        self.entries[info.name] = (info, data)

    def directory(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """A directory, with those above it that are not there yet (0755, root)."""
        parent = os.path.dirname(path.strip("/"))
        if parent and parent not in self.entries:
            self.directory(parent)
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
        self.add(info)

    def file(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        """A regular file of root's."""
        data = data.encode() if isinstance(data, str) else data
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(data), mode
        self.add(info, data)

    def symlink(self, path: str, target: str) -> None:
        info = tarfile.TarInfo(path)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        self.add(info)

    def write(self, out: IO[bytes]) -> None:
        """As a tar archive. Of a set of hard links the first in order becomes the file."""
        names = {name: name for name in self.entries}
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(self.entries):
                info, data = self.entries[name]
                if info.islnk():
                    first = names[info.linkname]
                    if first == info.linkname and info.linkname > name:  # the file itself comes later: swap the two
                        original, data = self.entries[info.linkname]
                        self.entries[info.linkname] = (info, None)
                        names[info.linkname] = name
                        info = _named(original, name)
                    else:
                        info = _link(info, name, first)
                archive.addfile(info, io.BytesIO(data) if data is not None else None)


def _named(info: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    changed = copy.copy(info)
    changed.name = name
    return changed


def _link(info: tarfile.TarInfo, name: str, target: str) -> tarfile.TarInfo:
    changed = _named(info, name)
    changed.linkname = target
    return changed


class Image:
    """One image being written into an OCI layout directory."""

    def __init__(self, directory: str, architecture: str) -> None:
        self.directory = directory
        self.architecture = architecture
        self.layers: list[dict[str, object]] = []
        self.diff_ids: list[str] = []
        self.history: list[dict[str, object]] = []
        os.makedirs(os.path.join(directory, "blobs", "sha256"))

    def blob(self, data: bytes) -> dict[str, object]:
        """Store bytes under their digest; the size and digest as a descriptor has them."""
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.directory, "blobs", "sha256", digest), "wb") as file:
            file.write(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def layer(self, layer: Layer) -> None:
        """Append a layer."""
        tar = io.BytesIO()
        layer.write(tar)
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=4, mtime=0, filename="") as file:
            file.write(tar.getbuffer())
        self.diff_ids.append("sha256:" + hashlib.sha256(tar.getbuffer()).hexdigest())
        self.layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **self.blob(packed.getvalue())})
        self.history.append({"created": CREATED, "created_by": layer.created_by})

    def finish(self, name: str, settings: dict[str, object]) -> None:
        """Write the config, the manifest and the index; `name` is the image's short name with its tag, or without."""
        self.history.append({"created": CREATED, "created_by": "config of a stand-in", "empty_layer": True})
        config = {
            "architecture": self.architecture,
            "config": settings,
            "created": CREATED,
            "history": self.history,
            "os": "linux",
            "rootfs": {"diff_ids": self.diff_ids, "type": "layers"},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(_json(config))},
            "layers": self.layers,
        }
        repository, _, tag = name.partition(":")
        entry = {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            **self.blob(_json(manifest)),
            "platform": {"architecture": self.architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": f"docker.io/library/{repository}:{tag or 'latest'}",
                "org.opencontainers.image.ref.name": tag or "latest",
            },
        }
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
        self._write("index.json", _json(index))
        self._write("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))

    def _write(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.directory, name), "wb") as file:
            file.write(data)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def first_layer(directory: str) -> IO[bytes]:
    """The first layer of an image that was written here, uncompressed."""
    blobs = os.path.join(directory, "blobs", "sha256")
    with open(os.path.join(directory, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    with open(os.path.join(blobs, index["manifests"][0]["digest"].partition(":")[2]), encoding="utf-8") as file:
        manifest = json.load(file)
    return gzip.open(os.path.join(blobs, manifest["layers"][0]["digest"].partition(":")[2]))  # type: ignore[return-value]


def entries_of(
    archive: tarfile.TarFile, keep: Iterable[str] | None = None
) -> Iterable[tuple[tarfile.TarInfo, bytes | None]]:
    """The entries of an archive with their bytes; only those named in `keep`, when it is given."""
    wanted = None if keep is None else set(keep)
    for info in archive:
        if wanted is not None and info.name not in wanted:
            continue
        handle = archive.extractfile(info) if info.isreg() else None
        yield info, handle.read() if handle else None
