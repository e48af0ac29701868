"""The differential cases: their contexts made whole, what buildah made of them, and what is expected of jettison.

A case is a directory below cases/: a Dockerfile and context files, with up to four pages of data that are no part of
the context: make.json (what git cannot hold: modes, links, archives), case.json (flags of the build), record.json (what
buildah made, written by `tests/differential/record`) and differs.json (where BuildKit, the reference, makes something
else, and why: the expected result is the record with this laid over it).
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from typing import Any, NamedTuple

import images

HERE = os.path.dirname(os.path.realpath(__file__))
CASES = os.path.join(HERE, "cases")
DATA = ("make.json", "case.json", "record.json", "differs.json")
CLOCK = 1_600_000_000  # the time of every file of a context
BASE = "busybox"

# Files of the base whose bytes depend on the machine: records call them by these names.
_NAMED = {"bin/busybox": "@busybox", "etc/ssl/certs/ca-certificates.crt": "@certificates"}


class Case(NamedTuple):
    """One Dockerfile, and how it is built."""

    name: str
    folder: str
    flags: tuple[str, ...]

    def data(self, page: str) -> Any:
        """A page of data of the case, None when it has none."""
        path = os.path.join(self.folder, page)
        if not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def flags_in(self, context: str) -> list[str]:
        """The flags for a context that was laid out at that path."""
        return [flag.replace("{context}", context) for flag in self.flags]


class Base(NamedTuple):
    """The base image as an OCI layout directory, read once."""

    layout: str
    tree: images.Tree
    settings: dict[str, Any]
    names: dict[str, str]


def case(name: str) -> Case:
    """The case of that name."""
    folder = os.path.join(CASES, name)
    found = Case(name, folder, ())
    return found._replace(flags=tuple((found.data("case.json") or {}).get("flags", ())))


def names() -> list[str]:
    """All cases, sorted."""
    return sorted(os.listdir(CASES))


def read_base(layout: str) -> Base:
    """Read the base, and name those of its files that the machine decides."""
    image = images.read(layout)
    tree = images.plain(image.tree())
    called = {tree[path]["digest"]: name for path, name in _NAMED.items()}
    return Base(layout, called_by_name(tree, called), image.settings(), called)


def called_by_name(tree: images.Tree, called: dict[str, str]) -> images.Tree:
    """The tree with the machine's own files called by name, and no sizes of them."""
    found = {}
    for path, node in tree.items():
        name = called.get(node.get("digest", ""))
        found[path] = {**{key: value for key, value in node.items() if key != "size"}, "digest": name} if name else node
    return found


def lay_out(case: Case, folder: str) -> str:
    """Make the whole context of a case at `folder`, the same for every user and umask; returns `folder`."""
    shutil.copytree(
        case.folder, folder, symlinks=True, ignore=lambda _, found: [name for name in found if name in DATA]
    )
    for parent, _, files in os.walk(folder):
        os.chmod(parent, 0o755)
        for name in files:
            path = os.path.join(parent, name)
            os.chmod(path, 0o755 if os.stat(path).st_mode & stat.S_IXUSR else 0o644)
    for action, *words in case.data("make.json") or ():
        _ACTIONS[action](folder, *words)
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.utime(os.path.join(parent, name), (CLOCK, CLOCK), follow_symlinks=False)
    return folder


def _chmod(folder: str, mode: str, path: str) -> None:
    os.chmod(os.path.join(folder, path), int(mode, 8))


def _symlink(folder: str, target: str, path: str) -> None:
    os.symlink(target, os.path.join(folder, path))


def _hardlink(folder: str, existing: str, path: str) -> None:
    os.link(os.path.join(folder, existing), os.path.join(folder, path))


def _mkdir(folder: str, path: str, mode: str) -> None:
    os.makedirs(os.path.join(folder, path), exist_ok=True)
    os.chmod(os.path.join(folder, path), int(mode, 8))


def _gzip(folder: str, path: str, text: str) -> None:
    with open(os.path.join(folder, path), "wb") as file:
        file.write(gzip.compress(text.encode(), mtime=0))


_KINDS = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}


def _tar(folder: str, path: str, compression: str, entries: list[dict[str, Any]]) -> None:
    mode: Any = f"w:{compression}"
    with tarfile.open(os.path.join(folder, path), mode, format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry["path"])
            info.type = _KINDS[entry.get("type", "file")]
            info.mode = int(entry.get("mode", "0755" if info.isdir() else "0644"), 8)
            info.uid, info.gid, info.mtime = entry.get("uid", 0), entry.get("gid", 0), CLOCK
            info.linkname = entry.get("link", "")
            info.devmajor, info.devminor = entry.get("device", (0, 0))
            content = entry.get("content", "").encode()
            info.size = len(content) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(content))


_ACTIONS = {"chmod": _chmod, "symlink": _symlink, "hardlink": _hardlink, "mkdir": _mkdir, "gzip": _gzip, "tar": _tar}


def key(case: Case, peer: str, base: Base) -> str:
    """A digest of all that decides a record: Dockerfile, context, flags, the peer's version, and the base's recipe."""
    digest = hashlib.sha256()
    parts: list[object] = [peer, case.flags, case.data("make.json"), base.settings]
    parts.append({path: node for path, node in base.tree.items() if not _is_applet(path)})
    digest.update(json.dumps(parts, sort_keys=True).encode())
    for parent, folders, files in os.walk(case.folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(parent, name)
            if name not in DATA:
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
                runs = bool(os.stat(path).st_mode & stat.S_IXUSR)
                digest.update(f"{os.path.relpath(path, case.folder)}\0{content}\0{runs}\n".encode())
    return "sha256:" + digest.hexdigest()


def _is_applet(path: str) -> bool:
    return path.startswith("bin/")


def _has_run(case: Case) -> bool:
    with open(os.path.join(case.folder, "Dockerfile"), encoding="utf-8") as file:
        return any("RUN " in line.upper() for line in file)


# What buildah leaves where it mounts, and BuildKit does not. (/proc, /sys and /dev stay with both of them.)
_EMPTY = f"sha256:{hashlib.sha256().hexdigest()}"
_TRACES: images.Tree = {path: {"type": "dir", "mode": "0755", "uid": 0, "gid": 0} for path in ("run", "etc")} | {
    path: {"type": "file", "mode": "0755", "uid": 0, "gid": 0, "size": 0, "digest": _EMPTY}
    for path in ("etc/hostname", "etc/hosts", "etc/resolv.conf")
}


def traces() -> list[str]:
    """The paths that buildah may leave."""
    return list(_TRACES)


def ocidiff() -> str | None:
    """The judge that compares two images: from JETTISON_OCIDIFF, or in shared/tools beside the checkout."""
    beside = os.path.join(HERE, "..", "..", "..", "shared", "tools", "ocidiff")
    found = os.environ.get("JETTISON_OCIDIFF") or os.path.realpath(beside)
    return found if os.path.exists(found) else None


def without_traces(tree: images.Tree, below: images.Tree) -> images.Tree:
    """The tree without the empty mount points that the peer made and the base does not have."""
    found = dict(tree)
    for path in reversed(_TRACES):
        is_parent = any(other.startswith(f"{path}/") for other in found)
        if not is_parent and path not in below and found.get(path) == _TRACES[path]:
            del found[path]
    return found


def record_of(case: Case, layout: str, base: Base) -> dict[str, Any]:
    """What is written down of an image that the peer made: its config, and what its tree has beyond the base's."""
    image = images.read(layout)
    tree = called_by_name(images.plain(image.tree()), base.names)
    over_base = image.config["rootfs"]["diff_ids"][:1] == images.read(base.layout).config["rootfs"]["diff_ids"]
    below = base.tree if over_base else {}
    tree = without_traces(tree, below) if _has_run(case) else tree
    return {
        "over": BASE if over_base else "scratch",
        "config": _without_base(image.settings(), base, over_base=over_base),
        "tree": {path: node for path, node in tree.items() if below.get(path) != node},
        "removed": sorted(below.keys() - tree.keys()),
    }


def _without_base(settings: dict[str, Any], base: Base, *, over_base: bool) -> dict[str, Any]:
    """The config without the base's labels and this machine's processor, which are the same on both sides."""
    found = copy.deepcopy(settings)
    del found["architecture"]
    if over_base:
        found["Labels"] = {
            key: value for key, value in found.get("Labels", {}).items() if key not in base.settings["Labels"]
        }
    if not found.get("Labels"):
        found.pop("Labels", None)
    return found


def comparable(layout: str, base: Base, over: str) -> tuple[dict[str, Any], images.Tree]:
    """Config and tree of an image as `expected` has them."""
    image = images.read(layout)
    tree = called_by_name(images.plain(image.tree()), base.names)
    return _without_base(image.settings(), base, over_base=over == BASE), tree


def expected(case: Case, base: Base) -> tuple[dict[str, Any], images.Tree]:
    """Config and tree that jettison must make: the record, with what differs.json says of BuildKit laid over it."""
    record = case.data("record.json")
    differs = (case.data("differs.json") or {}).get("expect", {})
    over = differs.get("over", record.get("over", "scratch"))
    tree = dict(base.tree if over == BASE else {})
    for path in record.get("removed", ()):
        tree.pop(path, None)
    tree |= record.get("tree", {})
    config = _laid_over(record.get("config", {}), differs.get("config", {}))
    return config, _laid_over(tree, differs.get("tree", {}))


def over(case: Case) -> str:
    """What the image lies over: the base, or nothing."""
    differs = (case.data("differs.json") or {}).get("expect", {})
    return str(differs.get("over", case.data("record.json").get("over", "scratch")))


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """The upper value of each key; None takes the key away."""
    return {key: value for key, value in {**below, **above}.items() if value is not None}
