"""RUN's mounts, in three moments: on disk before the step's process is made, in its mount namespace, in its root."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
from collections.abc import Callable, Sequence

import msgspec

from jettison.base.errors import InputError
from jettison.sandbox import mount, spec, syscalls
from jettison.sandbox.mountpoints import Mountpoints
from jettison.sandbox.storage import remove_tree
from jettison.sandbox.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY
from jettison.tree.manifest import read_head

Flatten = Callable[[spec.Readable, str, str], str]
_MAX_LINKS = 40  # the kernel's own limit


class Placed(msgspec.Struct, frozen=True):
    """A mount that is ready to be put at `target`. `source` "" is a new tmpfs of `size_bytes` (0: no limit)."""

    target: str
    source: str
    flags: int = 0
    size_bytes: int = 0


def ordered(mounts: Sequence[spec.AnyBound]) -> list[spec.AnyBound]:
    """The mounts, parents first; of two with the same target the last (reference §1.8)."""
    by_target = {mount.target.rstrip("/") or "/": mount for mount in mounts}
    if "/" in by_target:
        raise InputError("invalid mount target '/'", hint="a mount cannot cover the step's whole root")
    return [by_target[target] for target in sorted(by_target, key=lambda path: path.split("/"))]


class OnDisk:
    """What mounts need outside of the step: caches, copies of local directories, sockets and who serves them.

    `flatten(readable, source, out)` copies what is at `source` of a readable into a snapshot made at `out`, and tells
    the path of the copy.
    """

    def __init__(self, scratch: str, flatten: Flatten) -> None:
        self._scratch = scratch
        self._flatten = flatten
        self._number = 0
        self._helpers: list[int] = []

    def prepare(self, bound: spec.AnyBound) -> spec.AnyBound:
        """The mount as it is handed to the step's process."""
        match bound:
            case spec.BoundTree(of=spec.Directory() | spec.Archive()):
                return self._copy(bound)
            case spec.BoundCache():
                self._make_cache(bound)
            case spec.BoundSocket():
                return self._listen(bound)
            case _:
                pass
        return bound

    def end(self) -> None:
        """End the processes that serve the step's sockets."""
        for pid in self._helpers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._helpers.clear()

    def _copy(self, bound: spec.BoundTree) -> spec.BoundTree:
        # A copy, since owners are 0:0 and the ignored is not there; and a step must not write to the user's files.
        out = self._new("context")
        path = self._flatten(bound.of, bound.source, out)
        return msgspec.structs.replace(bound, of=spec.Tree((out,)), source=path.removeprefix(f"{out}/files"))

    def _make_cache(self, bound: spec.BoundCache) -> None:
        parent = os.path.dirname(bound.directory)
        os.makedirs(parent, exist_ok=True)
        lock = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # steps that share a new cache begin at once
            if not os.path.isdir(bound.directory):
                self._seed_cache(bound)
        finally:
            os.close(lock)

    def _seed_cache(self, bound: spec.BoundCache) -> None:
        made = self._new("cache")
        if bound.seed is None:
            os.mkdir(made)
        else:
            made = self._flatten(bound.seed, bound.seed_source, made)
            if not os.path.isdir(made):
                raise InputError(f"cache mount {bound.target}: {bound.seed_source} is not a directory")
        os.chown(made, bound.uid, bound.gid)
        os.chmod(made, bound.mode)
        os.rename(made, bound.directory)

    def _listen(self, bound: spec.BoundSocket) -> spec.BoundSocket:
        from jettison.sandbox import agent  # few steps have one

        directory = self._new("agent")
        os.mkdir(directory, 0o755)
        listener = agent.listen(directory, bound.uid, bound.gid, bound.mode)
        with listener:
            self._helpers.append(agent.pass_on(listener, bound.path))
        return msgspec.structs.replace(bound, path=f"{directory}/socket")

    def _new(self, kind: str) -> str:
        self._number += 1
        path = os.path.join(self._scratch, f"{kind}-{self._number}")
        remove_tree(path)
        return path


def place(bound: spec.AnyBound, number: int, scratch: str, stage: str, namespace: str) -> Placed:
    """Make the source of a mount, in the step's mount namespace but still in the machine's root.

    `stage` is a tmpfs that the step will not see; `number` makes names there and in `scratch`.
    """
    match bound:
        case spec.BoundTree():
            flags = MS_NODEV | (MS_RDONLY if bound.readonly else 0)
            return Placed(bound.target, _tree(bound, os.path.join(scratch, f"tree-{number}"), namespace), flags)
        case spec.BoundCache():
            return Placed(bound.target, bound.directory, MS_NODEV | MS_NOSUID | (MS_RDONLY if bound.readonly else 0))
        case spec.BoundTmpfs():
            return Placed(bound.target, "", MS_NODEV | MS_NOSUID, bound.size_bytes)
        case spec.BoundSecret():
            path = os.path.join(stage, f"secret-{number}")
            write(path, bound.data, bound.mode, bound.uid, bound.gid)
            return Placed(bound.target, path, MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC)
        case spec.BoundSocket():
            return Placed(bound.target, bound.path, MS_NODEV | MS_NOSUID | MS_NOEXEC)


def write(path: str, data: bytes, mode: int, uid: int = 0, gid: int = 0) -> None:
    """A file with exactly these bytes, owner and mode."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)


def attach(placed: Placed, points: Mountpoints) -> None:
    """Put a mount in place: in the step's root, with the machine's as working directory."""
    if not placed.source:
        target = points.directory(placed.target)
        options = f"size={placed.size_bytes}" if placed.size_bytes else None
        syscalls.mount("tmpfs", target, "tmpfs", placed.flags, options)
        return
    source = placed.source.lstrip("/")
    is_directory = stat.S_ISDIR(os.lstat(source).st_mode)
    target = points.directory(placed.target) if is_directory else points.file(placed.target)
    mount.bind(source, target, flags=placed.flags)


def _tree(bound: spec.BoundTree, directory: str, namespace: str) -> str:
    """Mount a layer stack at a directory of its own; the path there of what the mount shows."""
    if not isinstance(bound.of, spec.Tree):
        raise InputError(f"mount {bound.target}: a directory was not copied")
    names = {name: os.path.join(directory, name) for name in ("empty", "upper", "work", "root")}
    for path in names.values():
        os.makedirs(path)
    lowers = lowers_of(bound.of.snapshots, os.path.join(directory, "crown"))
    if lowers:
        copy_root(lowers[-1], names["upper"])
    elif bound.readonly:
        lowers = (names["upper"],)  # scratch: an overlay of one directory is none
    mount.overlay(
        mount.Overlay(
            lowers=(names["empty"], *lowers),
            upper="" if bound.readonly else names["upper"],
            work=names["work"],
            namespace=namespace,
            short=os.path.join(directory, "short"),
            flags=MS_NODEV,
        ),
        names["root"],
    )
    return resolve(names["root"], bound.source)


def lowers_of(snapshots: Sequence[str], crown: str) -> tuple[str, ...]:
    """The directories of a stack as an overlay takes them, bottom first: its root shows owner, mode and time of the
    last. Where the last snapshot says nothing of the root, an empty directory that does is made at `crown`.
    """
    lowers = tuple(os.path.join(path, "files") for path in snapshots)
    known = len(snapshots)
    while known and read_head(snapshots[known - 1]).alone:
        known -= 1
    if known in (0, len(snapshots)):
        return lowers
    os.mkdir(crown)
    copy_root(lowers[known - 1], crown)
    return (*lowers, crown)


def copy_root(source: str, target: str) -> None:
    """Give the directory `target` the owner, mode and time of `source`: an overlay's root shows those of its upper."""
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def resolve(root: str, path: str) -> str:
    """What `path` names with `root` as the root: symlinks are followed and never lead out. Raises InputError."""
    left, real, links = path.split("/")[::-1], list[str](), 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            del real[-1:]
            continue
        at = os.path.join(root, *real, name)
        try:
            is_link = stat.S_ISLNK(os.lstat(at).st_mode)
        except OSError:
            raise InputError(f'"{path}": not found') from None
        if not is_link:
            real.append(name)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise InputError(f'"{path}": too many symbolic links')
        target = os.readlink(at)
        if target.startswith("/"):
            real = []
        left += target.split("/")[::-1]
    return os.path.join(root, *real)
