"""What a step finds in its root besides the image: /proc, /dev, /sys, /etc/resolv.conf and /etc/hosts.

Runs after pivot_root, as the root of the step's tree, with the old root as working directory: a relative source is the
machine's, an absolute target the step's. So the kernel resolves every target within the step's root.
"""

from __future__ import annotations

import os
import stat

from jettison.base.errors import InputError
from jettison.sandbox import mount, syscalls
from jettison.sandbox.mountpoints import Mountpoints
from jettison.sandbox.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_STRICTATIME

DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_INERT = MS_NOSUID | MS_NODEV | MS_NOEXEC
# Docker's lists: what tells of the machine or steers it.
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def make_devices(directory: str) -> None:
    """Device nodes of our own in `directory` (of the machine, on a mount that allows devices), where we may.

    Never the machine's nodes where real root could change their mode; where mknod is refused, we are not real root.
    """
    for name, major, minor in DEVICES:
        path = os.path.join(directory, name)
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            os.chmod(path, 0o666)
        except PermissionError:
            return


def mount_proc(*, fresh: bool) -> None:
    """/proc: of our own pid namespace, or the machine's."""
    target = _base_directory("/proc")
    if fresh:
        syscalls.mount("proc", target, "proc", _INERT)
    else:
        mount.bind("proc", target, recursive=True)


def mount_dev(nodes: str, shm_size_bytes: int) -> None:
    """/dev with the usual nodes, links and mounts. `nodes` (relative): where make_devices made them.

    The tmpfs itself gives no access to devices, so that what a step makes with mknod opens nothing.
    """
    target = _base_directory("/dev")
    syscalls.mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME, "mode=755,size=65536k")
    for name, _, _ in DEVICES:
        source = os.path.join(nodes, name)
        if not os.path.exists(source):
            source = os.path.join("dev", name)
        if os.path.exists(source):
            os.close(os.open(f"/dev/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
            mount.bind(source, f"/dev/{name}")
    for name, link in _LINKS:
        os.symlink(link, f"/dev/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"/dev/{name}", 0o755)
    _mount_pts()
    syscalls.mount("shm", "/dev/shm", "tmpfs", _INERT, f"mode=1777,size={shm_size_bytes}")
    syscalls.mount("mqueue", "/dev/mqueue", "mqueue", _INERT)


def _mount_pts() -> None:
    options = "newinstance,ptmxmode=0666,mode=0620"
    try:
        syscalls.mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, options + ",gid=5")
    except OSError:  # a namespace without a group 5
        syscalls.mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, options)


def mount_sys(*, writable: bool) -> None:
    """/sys, read-only: fresh where this network namespace is ours to show, else the machine's."""
    target = _base_directory("/sys")
    flags = _INERT | (0 if writable else MS_RDONLY)
    try:
        syscalls.mount("sysfs", target, "sysfs", flags)
    except PermissionError:
        mount.bind("sys", target, recursive=True, flags=flags)
        return
    if os.path.isdir("sys/fs/cgroup") and os.path.isdir("/sys/fs/cgroup"):
        mount.bind("sys/fs/cgroup", "/sys/fs/cgroup", recursive=True, flags=flags)


def hide() -> None:
    """Mask and protect what Docker does, of /proc and /sys."""
    for path in _MASKED:
        if os.path.isdir(path):
            syscalls.mount("tmpfs", path, "tmpfs", MS_RDONLY | _INERT, "size=0,mode=555")
        elif os.path.exists(path):
            mount.bind("/dev/null", path)
    for path in _READ_ONLY:
        if os.path.exists(path):
            mount.bind(path, path, recursive=True, flags=MS_RDONLY)


def name_files(directory: str, hostname: str, extra_hosts: tuple[str, ...]) -> None:
    """Write resolv.conf and hosts for the step into `directory`."""
    try:
        with open("/etc/resolv.conf", "rb") as file:
            resolv = file.read(1 << 20)
    except OSError:
        resolv = b""
    for name, data in (("resolv.conf", resolv), ("hosts", hosts(hostname, extra_hosts).encode())):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)
        os.chmod(os.path.join(directory, name), 0o644)


def hosts(hostname: str, extra: tuple[str, ...]) -> str:
    """The text of /etc/hosts. `extra`: `name:ip` or `name=ip`; `host-gateway` is this machine, whose network it is."""
    lines = [f"127.0.0.1\tlocalhost {hostname}", "::1\tlocalhost ip6-localhost ip6-loopback"]
    return "\n".join((*lines, *map(host_line, extra))) + "\n"


def host_line(entry: str) -> str:
    """The line of /etc/hosts for `name:ip`. Raises InputError for what is no name, or no address."""
    import ipaddress

    at = min((i for i in (entry.find(":"), entry.find("=")) if i > 0), default=0)
    name, address = entry[:at], entry[at + 1 :].removeprefix("[").removesuffix("]")
    if not name or not address or name.split() != [name]:
        raise InputError(f"bad host entry {entry!r}", hint="write NAME:ADDRESS")
    if address == "host-gateway":
        return f"127.0.0.1\t{name}"
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise InputError(f"invalid IP address {address!r} of host {name}", hint="write NAME:ADDRESS") from None
    return f"{address}\t{name}"


def bind_names(directory: str, points: Mountpoints) -> None:
    """Show the files of name_files (`directory` relative) read-only in /etc."""
    for name in ("resolv.conf", "hosts"):
        target = points.file(f"/etc/{name}")
        mount.bind(os.path.join(directory, name), target, flags=MS_RDONLY | _INERT)


def _base_directory(path: str) -> str:
    """A directory right below the root, made where the image has none: it stays and enters the layer (reference §1.8).

    Never through a symlink: /proc shown elsewhere would be unprotected there.
    """
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise InputError(f"{path} of the image is not a directory") from None
    return path
