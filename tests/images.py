"""Read a finished image as a stranger would: from the tar headers up, with no code of jettison's and no tarfile.

A fault in the project's own reader or writer of layers cannot hide here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import posixpath
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

Node = dict[str, Any]
Tree = dict[str, Node]

_TYPES = {"0": "file", "\0": "file", "7": "file", "2": "symlink", "3": "char", "4": "block", "5": "dir", "6": "fifo"}
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"


class Member(NamedTuple):
    """One entry of a tar archive. `link` is the target of a symlink, or the path of the file that a hard link names."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    mtime: float
    link: str
    device: tuple[int, int]
    data: memoryview
    xattrs: dict[str, str]


class Image(NamedTuple):
    """One image of a layout or an archive, its layers uncompressed, lowest first."""

    manifest: dict[str, Any]
    config: dict[str, Any]
    layers: list[bytes]

    def tree(self) -> Tree:
        """What a container of it would see: path to node, whiteouts applied; hard links share one node."""
        return flatten(self.layers)

    def file(self, path: str) -> bytes:
        """The bytes of a regular file, from the topmost layer that has it; links are not followed."""
        for layer in reversed(self.layers):
            for member in members(layer):
                if member.path == path.strip("/"):
                    return bytes(member.data)
        raise KeyError(path)

    def settings(self) -> dict[str, Any]:
        """Of the config, what a runtime acts on."""
        return runtime_config(self.config)


def members(archive: bytes) -> Iterator[Member]:
    """The entries of a tar archive in order, with what pax headers and GNU's long names say of them."""
    view = memoryview(archive)
    said: dict[str, str] = {}
    position = 0
    while position + 512 <= len(view):
        header = bytes(view[position : position + 512])
        if not header.strip(b"\0"):
            return
        _check_sum(header, position)
        kind = chr(header[156])
        size = int(said["size"]) if "size" in said else _number(header[124:136])
        data = view[position + 512 : position + 512 + size]
        position += 512 + (size + 511) // 512 * 512
        if kind in "xg":
            said |= _pax(bytes(data))
        elif kind in "LK":
            said["path" if kind == "L" else "linkpath"] = bytes(data).split(b"\0")[0].decode("utf-8", "surrogateescape")
        else:
            yield _member(header, kind, data, said)
            said = {}


def _member(header: bytes, kind: str, data: memoryview, said: dict[str, str]) -> Member:
    name = _text(header[0:100])
    if header[257:263] == b"ustar\0" and header[345]:
        name = f"{_text(header[345:500])}/{name}"
    return Member(
        path=posixpath.normpath("/" + said.get("path", name)).lstrip("/"),
        kind="hardlink" if kind == "1" else _TYPES[kind],
        mode=_number(header[100:108]) & 0o7777,
        uid=int(said.get("uid", _number(header[108:116]))),
        gid=int(said.get("gid", _number(header[116:124]))),
        mtime=float(said.get("mtime", _number(header[136:148]))),
        link=said.get("linkpath", _text(header[157:257])),
        device=(_number(header[329:337]), _number(header[337:345])) if kind in "34" else (0, 0),
        data=data if kind in "0\x007" else data[:0],
        xattrs={
            key.removeprefix("SCHILY.xattr."): value for key, value in said.items() if key.startswith("SCHILY.xattr.")
        },
    )


def _check_sum(header: bytes, position: int) -> None:
    stated = _number(header[148:156])
    if stated != sum(header[:148]) + 8 * 32 + sum(header[156:]):
        raise ValueError(f"tar header at byte {position}: wrong checksum")


def _number(field: bytes) -> int:
    """Octal text, or GNU's base-256 for what does not fit."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        return value - (1 << 8 * len(field) - 1) if field[0] & 0x40 else value
    return int(field.strip(b" \0") or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "surrogateescape")


def _pax(data: bytes) -> dict[str, str]:
    found = {}
    while data:
        length = int(data.split(b" ", 1)[0])
        key, _, value = data[:length].split(b" ", 1)[1][:-1].partition(b"=")
        found[key.decode()] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def flatten(layers: list[bytes]) -> Tree:
    """Apply layers in order. A whiteout hides what lower layers hold, whatever its place in its own layer."""
    tree: Tree = {}
    for layer in layers:
        entries = list(members(layer))
        for entry in entries:
            folder, name = posixpath.split(entry.path)
            if name == ".wh..wh..opq":
                _remove_below(tree, folder)
            elif name.startswith(".wh."):
                gone = posixpath.join(folder, name[4:])
                _remove_below(tree, gone)
                tree.pop(gone, None)
        for entry in entries:
            if entry.path and not posixpath.basename(entry.path).startswith(".wh."):
                _put(tree, entry)
    return tree


def _remove_below(tree: Tree, folder: str) -> None:
    prefix = f"{folder}/" if folder else ""
    for path in [path for path in tree if path.startswith(prefix)]:
        del tree[path]


def _put(tree: Tree, entry: Member) -> None:
    if entry.kind == "hardlink":
        tree[entry.path] = tree[posixpath.normpath("/" + entry.link).lstrip("/")]
        return
    if entry.kind != "dir" and tree.get(entry.path, {}).get("type") == "dir":
        _remove_below(tree, entry.path)
    tree[entry.path] = _node(entry)


def _node(entry: Member) -> Node:
    node: Node = {"type": entry.kind, "mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid}
    if entry.kind == "file":
        node |= {"size": len(entry.data), "digest": "sha256:" + hashlib.sha256(entry.data).hexdigest()}
    elif entry.kind == "symlink":
        del node["mode"]
        node["link"] = entry.link
    elif entry.kind in ("char", "block"):
        node["device"] = list(entry.device)
    if entry.xattrs:
        node["xattrs"] = entry.xattrs
    node["mtime"] = int(entry.mtime)
    return node


def plain(tree: Tree, *, mtime: bool = False) -> Tree:
    """The tree as values that can be compared and written down: hard links name the first path of their set."""
    first: dict[int, str] = {}
    for path in sorted(tree):
        first.setdefault(id(tree[path]), path)
    found: Tree = {}
    for path in sorted(tree):
        node = {key: value for key, value in tree[path].items() if mtime or key != "mtime"}
        if first[id(tree[path])] != path:
            node["same_file_as"] = first[id(tree[path])]
        found[path] = node
    return found


def runtime_config(config: dict[str, Any]) -> dict[str, Any]:
    """Of a config, what a runtime acts on, without what is empty: builders differ in how they write nothing."""
    inner = config.get("config") or {}
    keys = (
        *("User", "Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal", "Labels"),
        *("Healthcheck", "OnBuild", "Shell"),
    )
    kept = {key: inner[key] for key in keys if inner.get(key)}
    if kept.get("WorkingDir") == "/":
        del kept["WorkingDir"]
    kept["Env"] = dict(pair.partition("=")[::2] for pair in inner.get("Env") or [])
    kept |= {key: config[key] for key in ("os", "architecture", "variant", "author") if config.get(key)}
    return kept


def read(path: str, name: str | None = None) -> Image:
    """The image of an OCI layout (a directory or a tar of one) or of a docker archive; every digest is checked.

    With several images in an index, `name` is the annotation org.opencontainers.image.ref.name of the one meant.
    """
    blobs = _blobs(path)
    if "index.json" in blobs:
        return _read_layout(blobs, name)
    entry = json.loads(blobs["manifest.json"])[0]
    config = json.loads(blobs[entry["Config"]])
    return _checked(Image(entry, config, [_unpressed(blobs[layer]) for layer in entry["Layers"]]))


def _read_layout(blobs: dict[str, bytes], name: str | None) -> Image:
    node = json.loads(blobs["index.json"])
    while "manifests" in node:
        entries = [entry for entry in node["manifests"] if _is_wanted(entry, name)]
        if len(entries) != 1:
            raise ValueError(f"{len(entries)} images in the index, one is wanted")
        node, name = json.loads(_blob(blobs, entries[0])), None
    config = json.loads(_blob(blobs, node["config"]))
    return _checked(Image(node, config, [_unpressed(_blob(blobs, layer)) for layer in node["layers"]]))


def _is_wanted(entry: dict[str, Any], name: str | None) -> bool:
    said = entry.get("annotations") or {}
    if said.get("vnd.docker.reference.type") == "attestation-manifest":
        return False
    return name is None or said.get("org.opencontainers.image.ref.name") == name


def _blob(blobs: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    algorithm, _, value = descriptor["digest"].partition(":")
    data = blobs[f"blobs/{algorithm}/{value}"]
    if hashlib.new(algorithm, data).hexdigest() != value or len(data) != descriptor["size"]:
        raise ValueError(f"{descriptor['digest']}: the blob has other bytes")
    return data


def _blobs(path: str) -> dict[str, bytes]:
    if not os.path.isdir(path):
        with open(path, "rb") as file:
            entries = list(members(file.read()))
        found = {entry.path: bytes(entry.data) for entry in entries if entry.kind == "file"}
        linked = [entry for entry in entries if entry.kind in ("symlink", "hardlink")]
        for entry in linked:
            folder = posixpath.dirname(entry.path) if entry.kind == "symlink" else ""
            found[entry.path] = found[posixpath.normpath(posixpath.join(folder, entry.link))]
        return found
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            full = os.path.join(folder, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, path)] = file.read()
    return found


def _unpressed(data: bytes) -> bytes:
    if data.startswith(_GZIP):
        return gzip.decompress(data)
    if data.startswith(_ZSTD):
        return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def _checked(image: Image) -> Image:
    stated = image.config["rootfs"]["diff_ids"]
    actual = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in image.layers]
    if stated != actual:
        raise ValueError(f"the config's diff_ids are not those of the layers: {stated} and {actual}")
    return image


def differences(expected: Tree, actual: Tree) -> list[str]:
    """One line a difference between two plain trees."""
    lines = []
    for path in sorted(expected.keys() | actual.keys()):
        left, right = expected.get(path), actual.get(path)
        if left is None or right is None:
            lines.append(f"/{path}: {'unexpected' if left is None else 'missing'} {left or right}")
            continue
        keys = [key for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]
        lines += [f"/{path}: {key} is {right.get(key)!r}, expected {left.get(key)!r}" for key in keys]
    return lines
