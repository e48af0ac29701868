"""Which tier works here: found by really trying one in a forked child, never by uid, sysctl or kernel version.

Runs in the keeper, which is single-threaded: a process with threads can neither fork safely nor enter a user namespace.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import msgspec

from jettison.base.errors import HostError
from jettison.sandbox import mount, syscalls, userns
from jettison.sandbox.storage import remove_tree
from jettison.sandbox.tier import NAMES, ROOT, ROOTLESS, Tier, TierReport

_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


class _Found(msgspec.Struct, frozen=True):
    """What the forked child reports: an empty `reason` is success."""

    reason: str = ""
    remedy: str = ""
    overlay_namespace: str = "user"
    fresh_proc: bool = False
    network_namespace: bool = False


def choose(store_root: str, forced: str | None = None) -> Tier:
    """The first tier that works with its files on the filesystem of `store_root`, or the one that is `forced`.

    Raises HostError, which says of each tier why not and what would help.
    """
    reports = []
    for name in [forced] if forced else NAMES:
        report = attempt(name, store_root)
        if report.tier is not None:
            return report.tier
        reports.append(report)
    reasons = "; ".join(f"{report.name}: {report.reason}" for report in reports)
    remedies = [report.remedy for report in reports if report.remedy]
    raise HostError(
        f"no isolation works here ({reasons})" if not forced else f"isolation {forced} does not work here ({reasons})",
        hint=remedies[-1] if remedies else "jettison doctor tells what each kind of isolation needs",
    )


def examine(store_root: str) -> tuple[TierReport, ...]:
    """What trying every tier gives."""
    return tuple(attempt(name, store_root) for name in NAMES)


def attempt(name: str, store_root: str) -> TierReport:
    """Try one tier; leaves nothing behind."""
    try:
        tier = candidate(name)
    except userns.Unmappable as missing:
        return TierReport(name=name, reason=missing.reason, remedy=missing.remedy)
    found = _in_child(lambda directory: _try(tier, directory), store_root)
    if found.reason:
        return TierReport(name=name, reason=found.reason, remedy=found.remedy)
    works = msgspec.structs.replace(
        tier,
        overlay_namespace=found.overlay_namespace,
        fresh_proc=found.fresh_proc,
        network_namespace=found.network_namespace,
    )
    return TierReport(name=name, tier=works)


def candidate(name: str) -> Tier:
    """The tier as it would be; what trying tells is filled in later. Raises Unmappable."""
    if name == ROOT:
        return Tier(name=ROOT, overlay_namespace="trusted")
    ours = userns.map_ourselves()
    uid_map, gid_map = ours or userns.map_by_helpers()
    return Tier(name=ROOTLESS, overlay_namespace="user", uid_map=uid_map, gid_map=gid_map, map_by_helper=ours is None)


def _in_child(trial: Callable[[str], _Found], store_root: str) -> _Found:
    """Run `trial` on a scratch directory in a child, so that nothing it enters or mounts stays."""
    directory = os.path.join(store_root, "tmp", f"probe-{os.urandom(6).hex()}")
    try:
        os.makedirs(directory, 0o700)
    except OSError as error:
        return _Found(f"{directory}: {error.strerror}", "set JETTISON_HOME to a directory that is yours")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _report(trial, directory, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    try:
        remove_tree(directory)
    except OSError:
        pass  # the child removes what has mapped owners; what a killed one left is garbage for the store to collect
    return msgspec.msgpack.decode(said, type=_Found) if said else _Found("the trial was killed")


def _report(trial: Callable[[str], _Found], directory: str, writing: int) -> None:
    """The child's life: try, say what was found, end."""
    try:
        try:
            found = trial(directory)
        except HostError as error:
            found = _Found(error.message)
        except OSError as error:
            found = _Found(f"{error.strerror} ({os.path.basename(error.filename or '')})")
        os.write(writing, msgspec.msgpack.encode(found))
    finally:
        os._exit(0)


def _try(tier: Tier, directory: str) -> _Found:
    """Everything that a step will need."""
    try:
        if tier.uid_map:
            userns.enter(tier.uid_map, tier.gid_map, by_helper=tier.map_by_helper)
    except HostError as error:
        return _Found(error.message, _userns_remedy())
    try:
        mount.private_namespace()
    except OSError as error:
        return _Found(f"a mount namespace cannot be made ({error.strerror})", _mount_remedy(tier))
    namespace = _overlay_namespace(directory)
    reason = _overlay_trouble(directory, namespace)
    found = _Found(
        reason=reason,
        remedy=_overlay_remedy(directory) if reason else "",
        overlay_namespace=namespace,
        network_namespace=_in_grandchild(lambda: syscalls.unshare(syscalls.CLONE_NEWNET)),
        fresh_proc=_fresh_proc(directory),
    )
    remove_tree(directory)
    return found


def _overlay_namespace(directory: str) -> str:
    try:
        os.setxattr(directory, "trusted.jettison", b"y")
        os.removexattr(directory, "trusted.jettison")
    except OSError:
        return "user"
    return "trusted"


def _overlay_trouble(directory: str, namespace: str) -> str:
    """Why an overlay does not do here; "" when it does: mount, chown, replace a directory, and read all that back."""
    lower, upper, work, merged = (os.path.join(directory, name) for name in ("lower", "upper", "work", "merged"))
    for path in (upper, work, merged, f"{lower}/replaced"):
        os.makedirs(path)
    for path in (f"{lower}/file", f"{lower}/replaced/old"):
        with open(path, "wb") as file:
            file.write(b"bytes")
    what = mount.Overlay(lowers=(lower,), upper=upper, work=work, namespace=namespace, short=f"{directory}/short")
    mount.overlay(what, merged)
    os.chown(f"{merged}/file", 1, 2)
    os.unlink(f"{merged}/replaced/old")
    os.rmdir(f"{merged}/replaced")
    os.mkdir(f"{merged}/replaced")
    syscalls.umount(merged)
    mount.overlay(mount.Overlay(lowers=(lower, upper), namespace=namespace, short=f"{directory}/short2"), merged)
    try:
        status = os.stat(f"{merged}/file")
        if (status.st_uid, status.st_gid, status.st_size) != (1, 2, 5):
            return "an overlay loses an owner or the bytes of a file"
        return "an overlay loses that a directory was replaced" if os.listdir(f"{merged}/replaced") else ""
    finally:
        syscalls.umount(merged)


def _fresh_proc(directory: str) -> bool:
    """Whether a pid namespace can have a /proc of its own."""
    os.makedirs(f"{directory}/proc", exist_ok=True)

    def in_new_namespace() -> None:
        mount.private_namespace(syscalls.CLONE_NEWPID)
        if not _in_grandchild(lambda: syscalls.mount("proc", f"{directory}/proc", "proc")):
            raise OSError(errno.EPERM, "no fresh /proc")

    return _in_grandchild(in_new_namespace)


def _in_grandchild(action: Callable[[], None]) -> bool:
    """Whether `action` works, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _userns_remedy() -> str:
    try:
        with open(_APPARMOR, encoding="ascii") as file:
            restricted = file.read().strip() == "1"
    except OSError:
        restricted = False
    if restricted:
        return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return "in a container: a seccomp profile that allows unshare and mount (--security-opt seccomp=unconfined)"


def _mount_remedy(tier: Tier) -> str:
    if tier.name != ROOT:
        return _userns_remedy()
    return "" if os.geteuid() else "in a container: --cap-add SYS_ADMIN and a seccomp profile that allows mount"


def _overlay_remedy(directory: str) -> str:
    kind = filesystem_of(directory)
    if kind in ("overlay", "nfs", "nfs4", "lustre", "fuse"):
        return f"the store lies on {kind}: set JETTISON_HOME to a directory on a local disk or a volume"
    return "an overlay in a user namespace needs Linux 5.11 or later"


def filesystem_of(path: str) -> str:
    """The kind of filesystem that holds `path`, as the kernel names it; "" where that cannot be told."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                words = line.split(" - ")
                if words[0].split()[2] == wanted:
                    return words[1].split()[0]
    except OSError:
        return ""
    return ""
