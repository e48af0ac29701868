"""The keeper's children: each does one request after another, and is after one as it was before."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from jettison.base.errors import InputError
from jettison.planning import ops
from jettison.sandbox import spec
from jettison.sandbox.client import Keeper
from sandboxes import Sandbox

pytestmark = pytest.mark.root
LIMIT_SECONDS = 30


@pytest.fixture
def base(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Requests and a tree, without the driver that comes along."""
    made = Sandbox(str(tmp_path_factory.mktemp("store")), "root", None)
    made.close()
    return made


def wait_for(what: Callable[[], bool]) -> None:
    """Look until it is so: nobody tells of what becomes of processes that are not children of ours."""
    until = time.monotonic() + LIMIT_SECONDS
    while not what():
        assert time.monotonic() < until
        select.select([], [], [], 0.02)


def below(pid: int) -> set[int]:
    """The processes below one, without those that have ended."""
    found: set[int] = set()
    left = [pid]
    while left:
        each = left.pop()
        try:
            with open(f"/proc/{each}/task/{each}/children", encoding="ascii") as file:
                children = set(map(int, file.read().split()))
        except FileNotFoundError:
            continue
        found |= children
        left += children
    return found


def workers(keeper: Keeper) -> set[int]:
    """The keeper's children, all of which wait: it has a pid namespace, so that it is a child of what we started."""
    return {pid for pid in below(keeper._pid) if below(pid) == set()}


def test_one_child_does_one_request_after_another(base: Sandbox) -> None:
    script = "echo $$ $(wc -l < /proc/self/mounts); echo x > new"
    with Keeper.start(base.folder, "root") as keeper:
        said: set[bytes] = set()
        used: set[int] = set()
        for _ in range(3):
            out = base.path("snapshot")
            request = base.request("/bin/sh", "-c", script, out=out)
            keeper.ask(request, lambda frame: said.add(frame.data))  # type: ignore[union-attr]
            keeper.ask(spec.SnapshotDigestRequest(snapshot=out))
            used |= workers(keeper)
            assert os.listdir(request.scratch) == []
        assert len(used) == 1
        assert len(said) == 1
        assert next(iter(said)).startswith(b"1 ")


def test_a_request_leaves_nothing_in_its_child(base: Sandbox) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(base.path("agent"))
    listener.listen()
    context = base.path("context")
    os.mkdir(context)
    with open(os.path.join(context, "file"), "w", encoding="utf-8") as file:
        file.write("x")
    mounts = (
        spec.BoundTree(target="/context", of=spec.Directory(context)),
        spec.BoundCache(target="/cache", directory=base.path("cache")),
        spec.BoundTmpfs(target="/tmpfs"),
        spec.BoundSecret(target="/secret", data=b"x"),
        spec.BoundSocket(target="/socket", path=listener.getsockname()),
    )
    copy = ops.CopyOp(sources=(ops.CopySource(1, "/"),), dest="/", dest_is_dir=True)
    hashed = spec.Pressing(compression="uncompressed")
    found: list[tuple[object, ...]] = []
    with Keeper.start(base.folder, "root") as keeper:
        for _ in range(3):
            out, copied = base.path("snapshot"), base.path("snapshot")
            script = "echo out; echo err >&2; echo x > new"
            keeper.ask(base.request("/bin/sh", "-c", script, out=out, mounts=mounts, pressing=hashed))
            taken = (spec.Directory(context),)
            tree = spec.Tree((out,))
            keeper.ask(spec.CopyRequest(op=copy, tree=tree, inputs=taken, out=copied, tell=1, pressing=hashed))
            keeper.ask(spec.DigestRequest(op=copy, input=1, of=spec.Tree((copied,))))
            keeper.ask(spec.SnapshotDigestRequest(snapshot=copied))
            keeper.ask(spec.RemoveRequest(paths=(copied,)))
            (child,) = workers(keeper)
            of = f"/proc/{child}"
            with open(f"{of}/status", encoding="ascii") as status:
                said = [line for line in status if line.startswith(("Umask", "Sig", "Cap", "Threads", "Uid", "Gid"))]
            with open(f"{of}/mountinfo", encoding="utf-8") as mountinfo:
                points = sorted(line.split()[4] for line in mountinfo)
            found.append((child, sorted(os.listdir(f"{of}/fd")), os.readlink(f"{of}/cwd"), said, points))
    listener.close()
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_a_child_that_failed_gets_no_other_request(base: Sandbox) -> None:
    with Keeper.start(base.folder, "root") as keeper:
        with pytest.raises(InputError):
            keeper.ask(base.request("/bin/true", user="nosuch"))
        assert keeper.ask(base.request("/bin/true")) == spec.Ran(exit_code=0, changed=False)
        assert len(workers(keeper)) == 1


def test_a_child_that_was_killed_while_it_waited_is_not_asked(base: Sandbox) -> None:
    with Keeper.start(base.folder, "root") as keeper:
        keeper.ask(base.request("/bin/true"))
        (worker,) = workers(keeper)
        os.kill(worker, signal.SIGKILL)
        waiting = [each for each, _ in keeper._free]
        assert select.select(waiting, [], [], LIMIT_SECONDS)[0]  # the keeper has heard of it, and let go
        assert keeper.ask(base.request("/bin/true")) == spec.Ran(exit_code=0, changed=False)


def test_who_did_the_like_last_is_asked_again(base: Sandbox) -> None:
    fifo = spec.BoundCache(target="/c", directory=base.path("cache"))
    with Keeper.start(base.folder, "root") as keeper:
        keeper.ask(base.request("/bin/sh", "-c", "mknod c/1 p; mknod c/2 p", mounts=(fifo,)))
        scripts = ("echo > c/1; read x < c/2", "read x < c/1; echo > c/2")
        requests = [base.request("/bin/sh", "-c", script, mounts=(fifo,)) for script in scripts]
        other = threading.Thread(target=keeper.ask, args=(requests[0],))
        other.start()
        keeper.ask(requests[1])
        other.join()
        assert len(keeper._free) == 2
        remove, run = spec.RemoveRequest(paths=()), base.request("/bin/true")
        users = []
        for request in (remove, run, remove, run):
            keeper.ask(request)
            users.append(keeper._free[-1][0])
        assert users[0] is users[2]
        assert users[1] is users[3]
        assert users[0] is not users[1]


def test_children_that_wait_are_few_and_end_with_the_keeper(base: Sandbox) -> None:
    fifo = spec.BoundCache(target="/c", directory=base.path("cache"))
    with Keeper.start(base.folder, "root") as keeper:
        keeper.ask(base.request("/bin/sh", "-c", "for n in 1 2 3 4 5 6; do mknod c/$n p; done", mounts=(fifo,)))
        scripts = [f"echo > c/{n}; read x < c/{n + 1}" for n in range(1, 6)]  # each goes on when the next one has begun
        requests = [base.request("/bin/sh", "-c", script, mounts=(fifo,)) for script in scripts]
        threads = [threading.Thread(target=keeper.ask, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        keeper.ask(base.request("/bin/sh", "-c", "read x < c/1; echo > c/6", mounts=(fifo,)))
        for thread in threads:
            thread.join()
        all_of_them = below(keeper._pid)
        wait_for(lambda: len(workers(keeper)) == 4)
    assert all(not os.path.exists(f"/proc/{pid}") for pid in all_of_them)
