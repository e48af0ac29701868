"""A keeper with a driver of its own, as root or as the suite's ordinary user, and a busybox tree to run things in.

The driver is a process, so that one test can kill it, and another can be it. It does one request after the other:
what it is told and what it answers are frames, as the keeper's own.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from jettison.base import errors
from jettison.sandbox import spec
from jettison.sandbox.frames import Reader, send
from jettison.tree.manifest import Head, write_head
from keeper_driver import Told
from users import PYTHON, ROOT, User, ordinary_user

__all__ = ["Sandbox", "busybox", "ordinary_user", "sandbox"]

APPLETS = (
    "sh cat chmod chown cp dirname echo env grep head hostname id ifconfig kill ln ls mkdir mknod mount mv nc ping"
    " ps pwd readlink rm rmdir sed seq setsid sleep sort stat su sync tail test touch true umount uname wc wget yes"
)
LIMIT_SECONDS = 60
DRIVER = os.path.join(ROOT, "tests", "keeper_driver.py")


class Result(msgspec.Struct, frozen=True):
    """How a request ended: the reply, and the frames before it."""

    reply: spec.AnyReply
    frames: tuple[spec.Output | spec.Note, ...]

    @property
    def code(self) -> int:
        assert isinstance(self.reply, spec.Ran), self.reply
        return self.reply.exit_code

    @property
    def changed(self) -> bool:
        assert isinstance(self.reply, spec.Ran), self.reply
        return self.reply.changed

    def stream(self, number: int) -> str:
        pieces = [f.data for f in self.frames if isinstance(f, spec.Output) and f.stream == number]
        return b"".join(pieces).decode(errors="surrogateescape")

    @property
    def out(self) -> str:
        return self.stream(1)

    @property
    def err(self) -> str:
        return self.stream(2)


class Sandbox:
    """A store's folder, a driver with its keeper, and snapshots in that folder."""

    def __init__(self, folder: str, isolation: str, user: User | None, before: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.isolation = isolation
        self.user = user
        self._numbers = iter(range(10**6))
        self.base = busybox(folder)
        if user:
            user.own(folder)
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._reader: Reader[spec.AnyReply] = Reader(ours, spec.AnyReply)
        paths = library(user)
        program = [*user.prefix, PYTHON, os.path.join(paths, "keeper_driver.py")] if user else [sys.executable, DRIVER]
        with theirs:
            self.process = subprocess.Popen(
                [*before, *program, str(theirs.fileno()), folder, isolation],
                pass_fds=[theirs.fileno()],
                cwd="/",
                env={**os.environ, "PYTHONPATH": paths, "HOME": user.home if user else "/root"},
            )
        ours.settimeout(LIMIT_SECONDS)

    def path(self, kind: str) -> str:
        """A path in the store that does not exist."""
        return os.path.join(self.folder, f"{kind}-{next(self._numbers)}")

    def snapshot(self, **files: str) -> str:
        """A snapshot with these files ("__" in a name is "/"), made by a step."""
        lines = [f'mkdir -p "$(dirname {name})"; printf %s "{text}" > {name}' for name, text in _paths(files)]
        out, _ = self.step("\n".join(lines))
        return out

    def step(self, script: str, below: tuple[str, ...] = (), **fields: object) -> tuple[str, Result]:
        """Run a script that must succeed and change something: the snapshot."""
        out = self.path("snapshot")
        result = self.run(script, below, out=out, **fields)
        assert result.code == 0, result.err
        return out, result

    def run(self, script: str, below: tuple[str, ...] = (), *, cancel_on: bytes = b"", **fields: object) -> Result:
        """Run a script by the shell on the base and the snapshots `below`."""
        return self.ask(self.request("/bin/sh", "-ec", script, below=below, **fields), cancel_on)

    def request(self, *args: str, below: tuple[str, ...] = (), **fields: object) -> spec.RunRequest:
        """A RunRequest on the base and the snapshots `below`, with a scratch of its own."""
        scratch = self.path("scratch")
        os.mkdir(scratch)
        if os.getuid() == 0:
            os.chmod(scratch, 0o777)
        fields = {"env": (("PATH", "/bin"),), "out": "", **fields}
        return spec.RunRequest(tree=spec.Tree((self.base, *below)), scratch=scratch, args=args, **fields)  # type: ignore[arg-type]

    def ask(self, request: spec.AnyRequest, cancel_on: bytes = b"") -> Result:
        """Have a request done; what it failed with is raised."""
        self.send(request, cancel_on)
        return self.result()

    def send(self, request: spec.AnyRequest, cancel_on: bytes = b"") -> None:
        """Have a request begun."""
        send(self._socket, Told(request, cancel_on))

    def result(self) -> Result:
        """How the request that was sent ended."""
        frames: list[spec.Output | spec.Note] = []
        while True:
            frame = self.frame()
            if isinstance(frame, spec.Output | spec.Note):
                frames.append(frame)
            elif isinstance(frame, spec.Failed):
                raise errors.BY_NAME[frame.kind](frame.message, hint=frame.hint)
            else:
                return Result(frame, tuple(frames))

    def frame(self) -> spec.AnyReply:
        """The next frame of a request that was sent."""
        frame = self._reader.next()
        assert frame is not None, "the driver has ended"
        return frame

    def close(self) -> None:
        self._socket.close()
        try:
            self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def busybox(folder: str) -> str:
    """A snapshot's directory in `folder` that holds nothing but busybox."""
    files = bare(os.path.join(folder, "base"))
    os.mkdir(os.path.join(files, "bin"))
    shutil.copy("/bin/busybox", os.path.join(files, "bin", "busybox"))
    for name in APPLETS.split():
        os.symlink("busybox", os.path.join(files, "bin", name))
    return os.path.dirname(files)


def bare(snapshot: str) -> str:
    """Make an empty snapshot at that path, without a manifest, since a RUN needs none; the directory of its files."""
    files = os.path.join(snapshot, "files")
    os.makedirs(files)
    write_head(snapshot, Head())
    return files


def library(user: User | None) -> str:
    """PYTHONPATH with jettison and what it needs, readable by the user; and the driver below it."""
    if user is None:
        return os.pathsep.join(path for path in sys.path if path)
    folder = os.path.join(user.home, "library")
    if not os.path.exists(folder):
        shutil.copytree(os.path.join(ROOT, "src"), folder)
        for name in ("msgspec", "isal", "backports"):
            places = [os.path.join(path, name) for path in sys.path if os.path.isdir(os.path.join(path, name))]
            shutil.copytree(places[0], os.path.join(folder, name))
        shutil.copy(DRIVER, folder)
    return folder


def _paths(files: dict[str, str]) -> list[tuple[str, str]]:
    return [("/" + name.replace("__", "/"), text) for name, text in files.items()]


@pytest.fixture(scope="module", params=["root", "rootless"])
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox as root in the tier root, and one as an ordinary user in the tier rootless."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    user: User | None = request.getfixturevalue("ordinary_user") if request.param == "rootless" else None
    folder = (
        os.path.join(user.home, f"store-{request.module.__name__}") if user else str(tmp_path_factory.mktemp("store"))
    )
    os.makedirs(folder, exist_ok=True)
    made = Sandbox(folder, request.param, user)
    yield made
    made.close()
