"""The differential cases: their contexts made whole, what buildah made of them, and what is expected of jettison.

A case is a directory below cases/: a Dockerfile and context files, with up to four pages of data that are no part of
the context: make.json (what git cannot hold: modes, links, archives), case.json (flags of the build), record.json (what
buildah made, written by `tests/differential/record`) and differs.json (where BuildKit, the reference, makes something
else, and why: the expected result is the record with this laid over it).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
from typing import Any, NamedTuple

import peers
from differential import records

HERE = os.path.dirname(os.path.realpath(__file__))
CASES = os.path.join(HERE, "cases")
DATA = ("make.json", "case.json", "record.json", "differs.json")
CLOCK = 1_600_000_000  # the time of every file of a context


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


def case(name: str) -> Case:
    """The case of that name."""
    folder = os.path.join(CASES, name)
    found = Case(name, folder, ())
    return found._replace(flags=tuple((found.data("case.json") or {}).get("flags", ())))


def names() -> list[str]:
    """All cases, sorted."""
    return sorted(os.listdir(CASES))


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


def subject(case: Case) -> records.Subject:
    """What a record of the case is written of."""
    with open(os.path.join(case.folder, "Dockerfile"), encoding="utf-8") as file:
        has_run = any("RUN " in line.upper() for line in file)
    return records.Subject(
        name=case.name,
        page=os.path.join(case.folder, "record.json"),
        inputs=[case.flags, case.data("make.json")],
        files=_files(case),
        has_run=has_run,
        differs=_differs(case.data("differs.json")),
    )


def _differs(page: dict[str, Any] | None) -> records.Differs | None:
    if page is None:
        return None
    said = page["expect"]
    return records.Differs(page["reason"], said.get("over"), said.get("config", {}), said.get("tree", {}))


def _files(case: Case) -> str:
    """The files of a case's folder, a line each: path, digest and whether it is a program."""
    lines = []
    for parent, folders, files in os.walk(case.folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(parent, name)
            if name not in DATA:
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
                runs = bool(os.stat(path).st_mode & stat.S_IXUSR)
                lines.append(f"{os.path.relpath(path, case.folder)}\0{content}\0{runs}\n")
    return "".join(lines)


def build(case: Case, buildah: peers.Buildah, folder: str, out: str) -> None:
    """Build it with buildah in a folder that is made, and write the image to `out`. Raises PeerError."""
    context = lay_out(case, folder)
    buildah.build(context, out, case.flags_in(context))
