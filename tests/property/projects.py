"""What a rebuild is of: a project's files, stages and build args; an edit; and both on the disk."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from typing import NamedTuple

_HEADERS = ("# syntax=docker/dockerfile:1", "ARG KIND=one")


class Entry(NamedTuple):
    """A file of the context. `kind` is file, link or tar; `text` its bytes, its target, or what its member holds."""

    kind: str
    text: str
    mode: int = 0o644

    def data(self) -> bytes:
        return _tar(self.text) if self.kind == "tar" else self.text.encode()


class Stage(NamedTuple):
    base: str
    lines: tuple[str, ...]


class Project(NamedTuple):
    """What one build is of."""

    files: dict[str, Entry]
    stages: tuple[Stage, ...]
    args: dict[str, str | None]

    @property
    def dockerfile(self) -> str:
        lines = list(_HEADERS)
        for number, stage in enumerate(self.stages):
            lines += [f"FROM {stage.base} AS s{number}", *stage.lines]
        return "\n".join(lines) + "\n"


class Edit(NamedTuple):
    """One change. `touched` files get another time, `moved` ones are renamed on the disk, and with `stealth` what is
    written keeps its size and its time.
    """

    name: str
    after: Project
    touched: tuple[str, ...] = ()
    moved: tuple[str, str] = ("", "")
    stealth: bool = False


def write(directory: str, files: dict[str, Entry]) -> None:
    """A context's files, in a directory that is empty."""
    for name, entry in files.items():
        _put(os.path.join(directory, name), entry)


def apply(directory: str, before: Project, edit: Edit) -> None:
    """Change on the disk what the edit changes, and nothing else."""
    old, new = dict(before.files), edit.after.files
    if edit.moved[0]:
        source, dest = edit.moved
        os.makedirs(os.path.dirname(os.path.join(directory, dest)), exist_ok=True)
        os.replace(os.path.join(directory, source), os.path.join(directory, dest))
        old[dest] = old.pop(source)
    for name in old.keys() - new.keys():
        os.unlink(os.path.join(directory, name))
    for name in new:
        if old.get(name) != new[name]:
            _put(os.path.join(directory, name), new[name], stealth=edit.stealth)
    for name in edit.touched:
        os.utime(os.path.join(directory, name), follow_symlinks=False)


def _put(path: str, entry: Entry, *, stealth: bool = False) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    before = os.lstat(path) if stealth else None
    if entry.kind == "link":
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(entry.text, path)
        return
    if os.path.islink(path):
        os.unlink(path)
    with open(path, "wb") as file:
        file.write(entry.data())
    os.chmod(path, entry.mode)
    if before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def empty(directory: str) -> None:
    """Everything of a context away."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)


def _tar(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("packed", "in/packed"):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid = len(text), 2_000_000_000, 3
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("hard")
        link.type, link.linkname, link.mtime = tarfile.LNKTYPE, "packed", 2_000_000_000
        archive.addfile(link)
    return out.getvalue()
