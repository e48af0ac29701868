"""What a case needs on disk before it is built: contexts, archives, images made by hand, repositories."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable

from bases import assemble, machine
from bases.layout import CREATED
from conformance import node
from conformance.case import Commit, Image

CLOCK = 1_600_000_000  # the time of every file of a context and of every commit
_KINDS = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}


def write_files(folder: str, files: dict[str, str]) -> None:
    """Files by path, 0644; a path that ends with a slash is a directory, 0755. All have the same time."""
    os.makedirs(folder, exist_ok=True)
    for path, text in files.items():
        full = os.path.join(folder, path)
        os.makedirs(full if path.endswith("/") else os.path.dirname(full), exist_ok=True)
        if not path.endswith("/"):
            with open(full, "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
            os.chmod(full, 0o644)
    set_clock(folder)


def set_clock(folder: str) -> None:
    """Give everything in a folder the one time, the folder last."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (*(os.path.join(parent, name) for name in (*folders, *files)), parent):
            os.utime(path, (CLOCK, CLOCK), follow_symlinks=False)


def _chmod(folder: str, mode: str, path: str) -> None:
    os.chmod(os.path.join(folder, path), int(mode, 8))


def _chown(folder: str, owner: str, path: str) -> None:
    uid, _, gid = owner.partition(":")
    os.chown(os.path.join(folder, path), int(uid), int(gid), follow_symlinks=False)


def _symlink(folder: str, target: str, path: str) -> None:
    os.symlink(target, os.path.join(folder, path))


def _hardlink(folder: str, existing: str, path: str) -> None:
    os.link(os.path.join(folder, existing), os.path.join(folder, path))


def _fifo(folder: str, path: str) -> None:
    os.mkfifo(os.path.join(folder, path))


def _socket(folder: str, path: str) -> None:
    place = os.path.join(folder, path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(place)


def _xattr(folder: str, pair: str, path: str) -> None:
    name, _, value = pair.partition("=")
    os.setxattr(os.path.join(folder, path), name, value.encode())


def _touch(folder: str, seconds: str, path: str) -> None:
    os.utime(os.path.join(folder, path), (int(seconds), int(seconds)), follow_symlinks=False)


def _remove(folder: str, path: str) -> None:
    full = os.path.join(folder, path)
    if os.path.isdir(full) and not os.path.islink(full):
        shutil.rmtree(full)
    else:
        os.unlink(full)


def _gzip(folder: str, path: str) -> None:
    """Compress a file in place, without packing it."""
    full = os.path.join(folder, path)
    with open(full, "rb") as file:
        data = file.read()
    with open(full, "wb") as file:
        file.write(gzip.compress(data, mtime=0))


ACTIONS: dict[str, Callable[..., None]] = {
    "chmod": _chmod,
    "chown": _chown,
    "symlink": _symlink,
    "hardlink": _hardlink,
    "fifo": _fifo,
    "socket": _socket,
    "xattr": _xattr,
    "touch": _touch,
    "remove": _remove,
    "gzip": _gzip,
}


def set_up(folder: str, lines: list[str]) -> None:
    """Do what the lines say, in order: `chmod 0600 path`, `symlink target path` and so on (ACTIONS)."""
    for line in lines:
        action, *words = line.split()
        ACTIONS[action](folder, *words)


def press(data: bytes, name: str) -> bytes:
    """Compressed as the end of the name says, if it says so."""
    kind = name.rpartition(".")[2]
    if kind in ("gz", "tgz"):
        return gzip.compress(data, mtime=0)
    if kind == "bz2":
        return bz2.compress(data)
    if kind == "xz":
        return lzma.compress(data)
    if kind == "zst":
        return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def write_archive(folder: str, name: str, members: list[str]) -> None:
    """A tar of `PATH: NODE` lines. `name` may be `path as bundle.tar.gz`: the path, and the form that it has."""
    path, _, form = name.partition(" as ")
    entries = [member.partition(": ")[::2] for member in members]
    full = os.path.join(folder, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(press(tar(entries), form or path))
    os.utime(full, (CLOCK, CLOCK))


def tar(entries: list[tuple[str, str]]) -> bytes:
    """An archive of (path, node) in that order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, line in entries:
            said = node.parse(line)
            info = tarfile.TarInfo(path)
            info.type = _KINDS[said.type]
            info.mode = (0o755 if info.isdir() else 0o644) if said.mode is None else said.mode
            info.uid, info.gid = said.owner or (0, 0)
            info.mtime = CLOCK if said.mtime is None else said.mtime
            info.linkname = said.link or ""
            info.devmajor, info.devminor = said.device or (0, 0)
            info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in (said.xattrs or {}).items()}
            content = (said.text or "").encode("utf-8", "surrogateescape")
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write_image(folder: str, image: Image) -> None:
    """An OCI layout directory, tagged latest, of an image made by hand."""
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs)
    main = str(image.top.get("architecture", machine.architecture()))
    manifests = [_manifest(blobs, image, architecture) for architecture in (main, *image.also)]
    if not image.also:
        manifests[0].pop("platform")
        manifests[0]["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        entry = manifests
    else:
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
        inner = {"mediaType": index["mediaType"], **_blob(blobs, json.dumps(index).encode())}
        entry = [{**inner, "annotations": {"org.opencontainers.image.ref.name": "latest"}}]
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "manifests": entry}, file)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as file:
        file.write('{"imageLayoutVersion": "1.0.0"}')


def _manifest(blobs: str, image: Image, architecture: str) -> dict[str, object]:
    layers, diff_ids, history = _below(blobs, image.over) if image.over else ([], [], [])
    own = image.layers
    if image.also:
        own = [{"arch": f"file = {architecture}"}, *own]
    for number, layer in enumerate(own):
        data = tar(list(layer.items()))
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", **_blob(blobs, data)})
        diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
        history.append({"created": CREATED, "created_by": f"layer {number}"})
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
        **{key: value for key, value in image.top.items() if key != "architecture"},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **_blob(blobs, json.dumps(config).encode()),
        },
        "layers": layers,
    }
    said = _blob(blobs, json.dumps(manifest).encode())
    return {"mediaType": manifest["mediaType"], **said, "platform": {"os": "linux", "architecture": architecture}}


def _below(blobs: str, name: str) -> tuple[list[dict[str, object]], list[str], list[dict[str, object]]]:
    """The layers of an assembled base, its blobs brought along."""
    layout = assemble.base(name)
    for entry in os.listdir(os.path.join(layout, "blobs", "sha256")):
        os.link(os.path.join(layout, "blobs", "sha256", entry), os.path.join(blobs, entry))
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        found = json.load(file)["manifests"][0]["digest"]
    with open(os.path.join(blobs, found.partition(":")[2]), encoding="utf-8") as file:
        manifest = json.load(file)
    with open(os.path.join(blobs, manifest["config"]["digest"].partition(":")[2]), encoding="utf-8") as file:
        config = json.load(file)
    return manifest["layers"], config["rootfs"]["diff_ids"], [{"created": CREATED, "created_by": name}]


def _blob(blobs: str, data: bytes) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as file:
        file.write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def write_repository(folder: str, commits: list[Commit], replace: Callable[[str], str]) -> list[str]:
    """A bare repository at `folder` with those commits, each dated by the clock; their ids, oldest first."""
    work = f"{folder}.work"
    _git(None, "init", "--quiet", "--initial-branch=main", work)
    ids = []
    for number, commit in enumerate(commits):
        if commit.branch:
            _git(work, "checkout", "--quiet", "-B", commit.branch)
        write_files(work, commit.files)
        set_up(work, commit.setup)
        for path, url in commit.submodules.items():
            _git(work, "submodule", "--quiet", "add", replace(url), path)
        _git(work, "add", "--all")
        _git(work, "commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
        if commit.tag:
            _git(work, "tag", commit.tag)
        ids.append(_git(work, "rev-parse", "HEAD").strip())
    _git(work, "checkout", "--quiet", "main")
    _git(None, "clone", "--quiet", "--bare", work, folder)
    _git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    return ids


def _git(folder: str | None, *words: str) -> str:
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _WHO.items()}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment = {**kept, **who, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", *(["-C", folder] if folder else []), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


_WHO = {"NAME": "A Person", "EMAIL": "person@example.com", "DATE": f"{CLOCK} +0000"}
