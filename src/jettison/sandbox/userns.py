"""The user namespace of the rootless tier: which ids it has, and how it is entered."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jettison.base.errors import HostError
from jettison.sandbox import syscalls
from jettison.sandbox.tier import IdRange

_WHOLE = 4294967295
_SETUID, _SETGID, _SETFCAP = 7, 6, 31


class Unmappable(Exception):  # noqa: N818 - a reason for people, which never leaves the sandbox
    """No map can be made here; `remedy` is a command that would help."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def own_map(text: str) -> tuple[IdRange, ...]:
    """Every id of a namespace whose /proc/self/uid_map is `text`, mapped to itself."""
    rows = [[int(word) for word in line.split()] for line in text.splitlines()]
    return tuple(IdRange(inside, inside, count) for inside, _, count in rows)


def subordinate_map(text: str, own_id: int, names: Sequence[str]) -> tuple[IdRange, ...]:
    """0 is `own_id`, and from 1 on come the ranges that /etc/subuid (`text`) gives to any of `names`."""
    ranges = [IdRange(0, own_id, 1)]
    at = 1
    for start, count in sorted(set(_subordinate(text, names))):
        ranges.append(IdRange(at, start, count))
        at += count
    return tuple(ranges)


def _subordinate(text: str, names: Sequence[str]) -> list[tuple[int, int]]:
    found = []
    for line in text.splitlines():
        words = line.strip().split(":")
        if len(words) == 3 and words[0] in names and words[1].isdigit() and words[2].isdigit() and int(words[2]):
            found.append((int(words[1]), int(words[2])))
    return found


def map_ourselves() -> tuple[tuple[IdRange, ...], tuple[IdRange, ...]] | None:
    """The full maps, where we are root with the capabilities to write them: else None."""
    held = _effective_capabilities()
    if os.geteuid() != 0 or not all(held >> bit & 1 for bit in (_SETUID, _SETGID, _SETFCAP)):
        return None
    return own_map(_read("/proc/self/uid_map")), own_map(_read("/proc/self/gid_map"))


def map_by_helpers() -> tuple[tuple[IdRange, ...], tuple[IdRange, ...]]:
    """The maps that newuidmap and newgidmap would write for us. Raises Unmappable and says what is missing."""
    uid, gid = os.geteuid(), os.getegid()
    name = _user_name(uid)
    maps = []
    for path, own in (("/etc/subuid", uid), ("/etc/subgid", gid)):
        ranges = subordinate_map(_read(path), own, [str(uid), *([name] if name else [])])
        if len(ranges) < 2:
            raise Unmappable(f"{path} gives {name or uid} no ids", _usermod(name or str(uid)))
        maps.append(ranges)
    for program in ("newuidmap", "newgidmap"):
        if not _find(program):
            raise Unmappable(f"{program} is not installed", "apt-get install -y uidmap")
    return maps[0], maps[1]


def enter(uid_map: Sequence[IdRange], gid_map: Sequence[IdRange], *, by_helper: bool, flags: int = 0) -> None:
    """Move this (single-threaded) process into a new user namespace with these maps, as its root. Raises HostError."""
    ready, go = os.pipe(), os.pipe()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.close(go[1])
        status = 1
        try:
            if os.read(go[0], 1):
                (_map_by_programs if by_helper else _map_by_hand)(target, uid_map, gid_map)
            status = 0
        except (OSError, HostError) as error:
            text = error.message if isinstance(error, HostError) else f"{error.strerror}"
            os.write(ready[1], text.encode("utf-8", "replace"))
        finally:
            os._exit(status)
    os.close(go[0])
    os.close(ready[1])
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | flags)
        os.write(go[1], b"!")
    except OSError as error:
        raise HostError(f"a user namespace cannot be made: {error.strerror}") from error
    finally:
        os.close(go[1])
        said = os.read(ready[0], 4096)
        os.close(ready[0])
        os.waitpid(helper, 0)
    if said:
        raise HostError(f"the user namespace's ids cannot be mapped: {said.decode('utf-8', 'replace')}")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])


def _map_by_hand(pid: int, uid_map: Sequence[IdRange], gid_map: Sequence[IdRange]) -> None:
    for kind, ranges in (("gid", gid_map), ("uid", uid_map)):
        rows = "".join(f"{r.inside} {r.outside} {r.count}\n" for r in ranges)
        fd = os.open(f"/proc/{pid}/{kind}_map", os.O_WRONLY)
        try:
            os.write(fd, rows.encode())  # the kernel takes it in one write or not at all
        finally:
            os.close(fd)


def _map_by_programs(pid: int, uid_map: Sequence[IdRange], gid_map: Sequence[IdRange]) -> None:
    for program, ranges in (("newgidmap", gid_map), ("newuidmap", uid_map)):
        words = [str(number) for r in ranges for number in (r.inside, r.outside, r.count)]
        said, status = _output([_find(program), str(pid), *words])
        if status:
            raise HostError(f"{program} failed: {said.strip() or f'exit code {status}'}")


def _output(words: list[str]) -> tuple[str, int]:
    """What a program wrote and its exit status; without subprocess, which the keeper does not load."""
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writing, fd) for fd in (1, 2)]
    )
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read(4096)
    return said.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _find(program: str) -> str:
    for directory in (*os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/local/bin", "/bin"):
        path = os.path.join(directory, program)
        if directory.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


def _effective_capabilities() -> int:
    line = next(line for line in _read("/proc/self/status").splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _usermod(name: str) -> str:
    """The command that gives `name` 65536 ids that nobody has yet."""
    last = 99999
    for path in ("/etc/subuid", "/etc/subgid"):
        for line in _read(path).splitlines():
            words = line.split(":")
            if len(words) == 3 and words[1].isdigit() and words[2].isdigit():
                last = max(last, int(words[1]) + int(words[2]) - 1)
    first, end = last + 1, last + 65536
    return f"usermod --add-subuids {first}-{end} --add-subgids {first}-{end} {name}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
