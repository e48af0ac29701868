"""Which directory the store is in, whose it is, and whether its disk can hold it (design: the store)."""

from __future__ import annotations

import os
import stat

import msgspec

from jettison.base.errors import HostError
from jettison.base.versions import STORE_VERSION

FALLBACK_ROOT = "/var/tmp"
MOUNTS = "/proc/self/mountinfo"

# WAL needs shared memory and overlay needs device nodes and xattrs on the disk: none of these gives both.
NETWORK_FILESYSTEMS = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs",
        "fuse.sshfs", "fuse.s3fs", "gfs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs",
        "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
    }
)  # fmt: skip


class Home(msgspec.Struct, frozen=True):
    """Where the store goes: its `root`, and what the user should be told about that choice."""

    root: str
    notes: tuple[str, ...] = ()


def find_home(
    home: str | None, environ: dict[str, str], mounts: str = MOUNTS, fallback_root: str = FALLBACK_ROOT
) -> Home:
    """The store's root for `home` (else $JETTISON_HOME, $XDG_DATA_HOME/jettison, ~/.local/share/jettison).

    Without a usable HOME, or on a network filesystem, it is /var/tmp/jettison-UID. Nothing is created. Raises HostError
    for a store that belongs to somebody else.
    """
    given = home or environ.get("JETTISON_HOME", "")
    wanted = os.path.abspath(given) if given else _default(environ)
    if wanted is None:
        fallback = _fallback(fallback_root)
        return Home(_root(fallback), (f"no usable HOME: the store is {fallback}",))
    kind = filesystem_of(wanted, mounts)
    if kind in NETWORK_FILESYSTEMS:
        fallback = _fallback(fallback_root)
        note = f"{wanted} is on a network filesystem ({kind}), which cannot hold a store: it is {fallback} instead"
        return Home(_root(fallback), (note,))
    if not given:
        _refuse_foreign(wanted)
    _refuse_foreign(_root(wanted))
    return Home(_root(wanted))


def prepare(root: str) -> None:
    """Create the store's directories where they are missing. Safe for several processes at once.

    Raises HostError for another version, another owner, or a place that cannot be written.
    """
    try:
        _make(os.path.dirname(root))
        for name in ("", "blobs/sha256", "snapshots", "caches", "tmp", "locks/leases", "locks/blobs", "records"):
            _make(os.path.join(root, name) if name else root)
        version = _version(root)
    except OSError as error:
        hint = "set JETTISON_HOME to a directory that you can write"
        raise HostError(f"the store {root} cannot be made: {error.strerror}", hint=hint) from error
    _refuse_foreign(root)
    if version != STORE_VERSION:
        hint = "set JETTISON_HOME to another directory, or use the version of jettison that made it"
        has = f"has version {version}" if version >= 0 else "does not say its version"
        raise HostError(f"the store {root} {has}, this jettison knows {STORE_VERSION}", hint=hint)


def filesystem_of(path: str, mounts: str = MOUNTS) -> str:
    """The type of the filesystem that `path` is on, or will be ("" where the kernel does not tell)."""
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    try:
        device = os.stat(path).st_dev
    except OSError:
        return ""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields = line.split(" ")
                if fields[2] == number and "-" in fields:
                    return fields[fields.index("-") + 1]
    except OSError:
        pass
    return ""


def _default(environ: dict[str, str]) -> str | None:
    data = environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(data):
        return os.path.join(data, "jettison")
    home = environ.get("HOME", "")
    if not os.path.isabs(home):
        return None
    wanted = os.path.join(home, ".local/share/jettison")
    return wanted if os.path.lexists(wanted) or _usable(home) else None


def _usable(home: str) -> bool:
    """Whether we may put a directory of our own below `home`.

    Root may write anywhere: under sudo with HOME kept it must not leave root's files in a user's home.
    """
    try:
        owner = os.stat(home).st_uid
    except OSError:
        return False
    uid = os.getuid()
    return os.access(home, os.W_OK | os.X_OK) and (owner == uid or uid != 0)


def _fallback(root: str) -> str:
    """ROOT/jettison-UID, made 0700. Anyone may write /var/tmp, so what is there already is not trusted."""
    path = f"{root}/jettison-{os.getuid()}"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise HostError(f"{path} cannot be made: {error.strerror}", hint="set JETTISON_HOME") from error
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        hint = "remove it, or set JETTISON_HOME"
        raise HostError(f"{path} is not a directory that only we can use", hint=hint)
    return path


def _refuse_foreign(path: str) -> None:
    """One store per real uid: two would leave files that the other can neither read nor remove."""
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return
    if owner != os.getuid():
        hint = "under sudo, let HOME be root's (sudo -H), or set JETTISON_HOME to a directory of your own"
        raise HostError(f"the store {path} belongs to uid {owner}, not to uid {os.getuid()}", hint=hint)


def _root(home: str) -> str:
    return os.path.join(home, "store")


def _make(path: str) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)


def _version(root: str) -> int:
    """The number in `version`, written first by whoever comes first: made aside and linked, so never half there."""
    path = os.path.join(root, "version")
    if not os.path.exists(path):
        aside = os.path.join(root, "tmp", f"version-{os.getpid()}-{os.urandom(4).hex()}")
        with open(aside, "x", encoding="ascii") as file:
            file.write(f"{STORE_VERSION}\n")
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(aside)
    with open(path, "rb") as file:
        text = file.read(32).strip()
    return int(text) if text.isdigit() else -1
