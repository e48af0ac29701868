"""An ordinary user with subordinate ids, made for the suite and gone after it, and jettison as that user sees it.

Run by Debian's own Python: the interpreter that runs the suite may lie below root's home, where nobody else can go.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from project import Project

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PYTHON = "/usr/bin/python3"
PREFIX = "jettison-test-"
VENVS = f"/var/tmp/jettison-tests-{os.getuid()}"  # readable by everybody, unlike a checkout or a cache below a home


class User(NamedTuple):
    """A user of this machine. `prefix` before a command runs it as that user, with all groups and no more."""

    name: str
    uid: int
    gid: int
    home: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", "--inh-caps=-all")

    def own(self, folder: str) -> None:
        """Give the user all that lies in a folder."""
        for parent, _, files in os.walk(folder):
            for path in (parent, *(os.path.join(parent, name) for name in files)):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def project(self, name: str) -> Project:
        """A project in the user's home, built by the user; give files away with `own` once they are written."""
        folder = os.path.join(self.home, name)
        made = Project(folder, program=(os.path.join(venv(), "bin", "jettison"),), prefix=self.prefix)
        self.own(folder)
        return made

    def base(self, project: Project, name: str = "busybox") -> None:
        """Let FROM NAME mean the assembled base, copied to where the user can read it."""
        from bases import assemble

        layout = assemble.base(name)
        copied = os.path.join(self.home, "bases", os.path.basename(layout))
        if not os.path.exists(copied):
            shutil.copytree(layout, copied)
            self.own(os.path.join(self.home, "bases"))
        project.bases[name] = copied


def make(name: str, *, subordinate: bool = True) -> User:
    """Make a user with a home, and with 65,536 subordinate ids unless told otherwise. Needs root."""
    remove(name)
    _run("useradd", "--create-home", "--shell", "/bin/sh", name)
    entry = pwd.getpwnam(name)
    os.chmod(entry.pw_dir, 0o755)
    for path, option in (("/etc/subuid", "subuids"), ("/etc/subgid", "subgids")):
        ranges = _ranges(path)
        if not subordinate:
            for low, high in ranges.get(name, ()):
                _run("usermod", f"--del-{option}", f"{low}-{high}", name)
        elif name not in ranges:
            low = max([99_999, *(high for found in ranges.values() for _, high in found)]) + 1
            _run("usermod", f"--add-{option}", f"{low}-{low + 65_535}", name)
    return User(name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def remove(name: str) -> None:
    """Remove a user that `make` made, with its home; nothing happens if there is none."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return
    subprocess.run(["userdel", "--remove", "--force", name], capture_output=True, check=False)
    with_group = any(entry.gr_name == name for entry in grp.getgrall())
    if with_group:
        subprocess.run(["groupdel", name], capture_output=True, check=False)


def venv() -> str:
    """A virtual environment of Debian's Python with jettison as `pip install .` puts it, anew when it changed."""
    folder = os.path.join(VENVS, _source_digest())
    with _alone():
        if not os.path.exists(os.path.join(folder, "ready")):
            _forget_old()
            _run(PYTHON, "-m", "venv", folder)
            _run(os.path.join(folder, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", ROOT)
            with open(os.path.join(folder, "ready"), "w", encoding="utf-8"):
                pass
    return folder


def _forget_old() -> None:
    """Environments of a day ago or older: a younger one may be in use by another run of the suite."""
    for entry in os.scandir(VENVS):
        if entry.is_dir() and entry.stat().st_mtime < time.time() - 86_400:
            shutil.rmtree(entry.path)


def _source_digest() -> str:
    digest = hashlib.sha256()
    paths = [os.path.join(ROOT, "pyproject.toml")]
    for parent, folders, files in os.walk(os.path.join(ROOT, "src")):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        paths += [os.path.join(parent, name) for name in sorted(files)]
    for path in paths:
        with open(path, "rb") as file:
            digest.update(f"{path}\0".encode() + hashlib.sha256(file.read()).digest())
    return digest.hexdigest()[:16]


def _ranges(path: str) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                name, low, count = line.strip().split(":")
                found.setdefault(name, []).append((int(low), int(low) + int(count) - 1))
    return found


def _run(*command: str) -> None:
    umask = os.umask(0o022)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise AssertionError(f"{' '.join(command)} ended with {error.returncode}: {error.stderr}") from None
    finally:
        os.umask(umask)


def _forget_dead() -> None:
    """Users of runs of the suite that were killed: their names end with the id of a process that is gone."""
    for entry in pwd.getpwall():
        pid = entry.pw_name.removeprefix(PREFIX)
        if entry.pw_name.startswith(PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            remove(entry.pw_name)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    os.makedirs(VENVS, exist_ok=True)
    with open(os.path.join(VENVS, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[User]:
    """An ordinary user of this session's own, one a worker. Root makes it."""
    if os.getuid() != 0:
        pytest.skip("root makes the user")
    with _alone():
        _forget_dead()
        user = make(f"{PREFIX}{os.getpid()}")
    yield user
    with _alone():
        remove(user.name)
