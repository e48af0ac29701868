"""The keeper's life: many requests at once, output, cancelling, dying, and that nothing is left behind."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jettison.base.errors import Cancelled, HostError, InputError, UsageError
from jettison.sandbox import spec
from jettison.sandbox.client import Keeper, examine
from sandboxes import Sandbox, ordinary_user, sandbox

__all__ = ["ordinary_user", "sandbox"]
pytestmark = pytest.mark.root
LIMIT_SECONDS = 30

MARK = f"4321.{os.getpid()}"  # seconds that no other process of the machine sleeps


def holders(folder: str) -> list[str]:
    """Processes of this machine that name the folder on their command line or in their mounts."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "mountinfo"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if folder.encode() in file.read() and int(pid) != os.getpid():
                        found.append(pid)
            except OSError:
                continue
    return found


def wait_for(what: Callable[[], bool]) -> None:
    """Look until it is so: nobody tells of what becomes of processes that are not children of ours."""
    until = time.monotonic() + LIMIT_SECONDS
    while not what():
        assert time.monotonic() < until
        select.select([], [], [], 0.02)


def wait_until_gone(folder: str) -> None:
    """Wait for the kernel to have ended every holder."""
    wait_for(lambda: not holders(folder))


def test_a_background_process_ends_with_its_step(sandbox: Sandbox) -> None:
    result = sandbox.run("(sleep 77.123 &) ; setsid sleep 77.123 & echo done")
    assert result.out == "done\n"
    assert not any("77.123" in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))


def command_line(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def test_output_is_whole_and_cut_at_lines_or_16_kib(sandbox: Sandbox) -> None:
    result = sandbox.run("seq 100000; head -c 40000 /dev/zero; echo; printf end; seq 5 >&2")
    assert result.out == "".join(f"{n}\n" for n in range(1, 100001)) + "\0" * 40000 + "\nend"
    assert result.err == "1\n2\n3\n4\n5\n"
    pieces = [frame.data for frame in result.frames if isinstance(frame, spec.Output)]
    assert max(map(len, pieces)) <= 16 * 1024
    assert all(piece.count(b"\n") <= 1 for piece in pieces)


def test_a_line_comes_when_it_is_written(sandbox: Sandbox) -> None:
    fifo = sandbox.path("cache")
    cache = spec.BoundCache(target="/c", directory=fifo)
    sandbox.send(sandbox.request("/bin/sh", "-c", "mknod c/go p; echo one; read x < c/go; echo $x", mounts=(cache,)))
    assert sandbox.frame() == spec.Output(stream=1, data=b"one\n")
    with open(os.path.join(fifo, "go"), "w", encoding="ascii") as go:
        go.write("two\n")
    assert sandbox.result().out == "two\n"


def test_cancel_ends_the_whole_tree_and_takes_it_back(sandbox: Sandbox) -> None:
    out = sandbox.path("snapshot")
    request = sandbox.request(
        "/bin/sh", "-c", f"echo x > new; sleep {MARK} & setsid sleep {MARK} & echo up; wait", out=out
    )
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        sandbox.ask(request, cancel_on=b"up")
    assert time.monotonic() - begun < 10
    assert not any(MARK in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))
    assert not os.path.exists(out)
    assert os.listdir(request.scratch) == []
    assert sandbox.run("echo still here").out == "still here\n"


def test_cancel_while_output_floods(sandbox: Sandbox) -> None:
    with pytest.raises(Cancelled):
        sandbox.run("yes", cancel_on=b"y\n")


def test_nothing_outlives_a_driver_that_is_killed(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = os.path.join(sandbox.user.home, "killed") if sandbox.user else str(tmp_path_factory.mktemp("killed"))
    os.makedirs(folder, exist_ok=True)
    other = Sandbox(folder, sandbox.isolation, sandbox.user)
    other.send(other.request("/bin/sh", "-c", f"setsid sleep {MARK} & echo up; sleep {MARK}"))
    assert other.frame() == spec.Output(stream=1, data=b"up\n")
    assert holders(folder)
    other.process.kill()
    other.close()
    wait_until_gone(folder)
    assert not any(MARK in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))


@pytest.fixture
def base(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Requests and a tree, without the driver that comes along."""
    made = Sandbox(str(tmp_path_factory.mktemp("store")), "root", None)
    made.close()
    return made


def test_requests_run_at_the_same_time(base: Sandbox) -> None:
    cache = spec.BoundCache(target="/c", directory=base.path("cache"))
    ours = base.request("/bin/sh", "-c", "mknod c/p p 2>/dev/null; echo hello > c/p", mounts=(cache,))
    with Keeper.start(base.folder, "root") as keeper:
        keeper.ask(base.request("/bin/sh", "-c", "mknod c/p p", mounts=(cache,)))
        writer = threading.Thread(target=keeper.ask, args=(ours,))
        writer.start()
        lines: list[bytes] = []
        theirs = base.request("/bin/sh", "-c", "cat c/p", mounts=(cache,))
        keeper.ask(theirs, lambda frame: lines.append(frame.data))  # type: ignore[union-attr]
        writer.join()
    assert lines == [b"hello\n"]


def test_interactive_takes_our_streams_and_gives_the_exit_code(base: Sandbox) -> None:
    stdin, stdout = os.pipe(), os.pipe()
    request = base.request("/bin/sh", "-c", "read x; echo got $x; exit 7", interactive=True)
    os.write(stdin[1], b"input\n")
    with Keeper.start(base.folder, "root") as keeper:
        reply = keeper.ask(request, fds=(stdin[0], stdout[1], 2))
    assert reply == spec.Ran(exit_code=7, changed=False)
    assert os.read(stdout[0], 100) == b"got input\n"
    for fd in (*stdin, *stdout):
        os.close(fd)


def test_an_interactive_program_can_be_interrupted(base: Sandbox) -> None:
    stdout = os.pipe()
    request = base.request("/bin/sh", "-c", "echo up; kill -INT $$; sleep 44", interactive=True)
    with Keeper.start(base.folder, "root") as keeper:
        reply = keeper.ask(request, fds=(0, stdout[1], 2))
    assert reply == spec.Ran(exit_code=130, changed=False)
    for fd in stdout:
        os.close(fd)


def test_a_cancel_with_a_descriptor_is_heard_at_once(base: Sandbox) -> None:
    reading, writing = os.pipe()

    class Cancel:
        def is_set(self) -> bool:
            return bool(select.select([reading], [], [], 0)[0])

        def fileno(self) -> int:
            return reading

    with Keeper.start(base.folder, "root") as keeper, pytest.raises(Cancelled):
        keeper.ask(
            base.request("/bin/sh", "-c", "echo up; sleep 44"),
            lambda _: os.write(writing, b"!") and None,
            cancel=Cancel(),
        )
    os.close(reading)
    os.close(writing)


def test_an_error_of_on_frame_ends_the_request(base: Sandbox) -> None:
    def fail(frame: object) -> None:
        raise KeyboardInterrupt

    with Keeper.start(base.folder, "root") as keeper:
        with pytest.raises(KeyboardInterrupt):
            keeper.ask(base.request("/bin/sh", "-c", "echo up; sleep 44.9"), fail)
        assert not any("44.9" in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))


def test_a_killed_keeper_is_a_host_error(base: Sandbox) -> None:
    keeper = Keeper.start(base.folder, "root")
    assert keeper.tier.name == "root"

    def kill(frame: object) -> None:
        os.kill(keeper._pid, signal.SIGKILL)

    with pytest.raises(HostError):
        keeper.ask(base.request("/bin/sh", "-c", "echo up; sleep 43.7"), kill)
    wait_until_gone(base.folder)
    with pytest.raises(HostError, match="keeper"):
        keeper.ask(spec.TierRequest())
    keeper.close()
    keeper.close()


def test_a_killed_worker_is_a_host_error_and_its_step_ends(base: Sandbox) -> None:
    with Keeper.start(base.folder, "root") as keeper:
        cache = spec.BoundCache(target="/c", directory=base.path("cache"))

        def kill(frame: object) -> None:
            worker = next(pid for pid in filter(str.isdigit, os.listdir("/proc")) if is_worker(pid, base.folder))
            os.kill(int(worker), signal.SIGKILL)

        with pytest.raises(HostError, match="ended unexpectedly"):
            keeper.ask(base.request("/bin/sh", "-c", "setsid sleep 43.6 & echo up; wait", mounts=(cache,)), kill)
        assert keeper.ask(base.request("/bin/true")) == spec.Ran(exit_code=0, changed=False)
        assert not any("43.6" in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))


def is_worker(pid: str, folder: str) -> bool:
    """A keeper's child that waits for a step: it reads pipes, and a step is its child."""
    if folder not in command_line(pid):
        return False
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return any("43.6" in command_line(child) for child in file.read().split())


def test_a_store_that_cannot_be_is_named(base: Sandbox) -> None:
    with Keeper.start("/proc/nosuch/store", "root") as keeper, pytest.raises(HostError, match="/proc/nosuch/store"):
        assert keeper.tier


def test_unknown_isolation(base: Sandbox) -> None:
    with pytest.raises(UsageError, match="unknown isolation 'vm'"):
        Keeper.start(base.folder, "vm")


def test_every_tier_is_examined(base: Sandbox) -> None:
    reports = {report.name: report for report in examine(base.folder)}
    assert list(reports) == ["root", "rootless"]
    assert reports["root"].tier is not None
    assert reports["root"].tier.overlay_namespace == "trusted"
    assert reports["rootless"].tier is not None
    assert reports["rootless"].tier.uid_map
    assert not reports["rootless"].tier.map_by_helper
    assert os.listdir(os.path.join(base.folder, "tmp")) == []


def test_remove_and_size_whatever_owns_what(sandbox: Sandbox) -> None:
    out, _ = sandbox.step("mkdir -p d/e; head -c 8192 /dev/zero > d/f; ln d/f d/g; chown 1000:1000 d d/f; chmod 0 d")
    sizes = sandbox.ask(spec.SizeRequest(paths=(out, "/nosuch"))).reply
    assert isinstance(sizes, spec.Done)
    assert 8192 <= sizes.sizes[0] < 80_000
    assert sizes.sizes[1] == 0
    sandbox.ask(spec.RemoveRequest(paths=(out, "/nosuch")))
    assert not os.path.exists(out)


@pytest.mark.parametrize(
    "denied",
    ["fsopen", "fsconfig", "move_mount", "mount_setattr", "pivot_root", "fsopen,mount_setattr,openat2,copy_file_range"],
)
@pytest.mark.parametrize("isolation", ["root", "rootless"])
def test_an_older_kernel(tmp_path_factory: pytest.TempPathFactory, denied: str, isolation: str) -> None:
    folder = str(tmp_path_factory.mktemp("older"))
    filtered = (sys.executable, os.path.join(os.path.dirname(os.path.dirname(__file__)), "denied.py"), denied)
    old = Sandbox(folder, isolation, None, before=filtered)
    try:
        layers: list[str] = []
        for number in range(3):
            layers.append(old.step(f"echo {number} > f{number}; rm -f gone; echo > gone", tuple(layers))[0])
        secret = spec.BoundSecret(target="/s", data=b"x")
        mounts = (secret, spec.BoundTree(target="/m", of=spec.Tree((layers[0], layers[1]))))
        script = "cat f0 f1 f2 s m/f1; echo x > sys/x || echo x > proc/sys/kernel/hostname || echo x > m/x || echo ro"
        result = old.run(script, tuple(layers), mounts=mounts)
        assert result.out == "0\n1\n2\nx1\nro\n"
        assert result.err.count("Read-only file system") == 3
    finally:
        old.close()


@pytest.fixture
def masked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """In a place where a part of /proc is covered, as in a container: no user namespace may mount a fresh one."""
    folder = str(tmp_path_factory.mktemp("masked"))
    cover = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc/acpi && exec "$@"', "sh")
    made = Sandbox(folder, "rootless", None, before=cover)
    yield made
    made.close()


def test_where_proc_cannot_be_mounted_the_outer_one_is_bound(masked: Sandbox) -> None:
    placed = masked.ask(spec.TierRequest()).reply
    assert isinstance(placed, spec.Placed)
    assert not placed.tier.fresh_proc
    result = masked.run(
        "[ $$ != 1 ]; readlink /proc/self/exe; (echo x > /proc/sys/kernel/hostname) || setsid sleep 33.21 &"
    )
    assert result.out == "/bin/busybox\n"
    assert not any("33.21" in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))
    with pytest.raises(Cancelled):
        masked.run("setsid sleep 33.22 & echo up; sleep 33.22", cancel_on=b"up")
    assert not any("33.22" in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc")))
    assert masked.run("exit 4").code == 4
    assert masked.run("exit 9", interactive=True).code == 9


def test_a_user_without_subordinate_ids_is_told_what_helps() -> None:
    import users

    if os.getuid() != 0:
        pytest.skip("root makes the user")
    user = users.make("jettison-plain", subordinate=False)
    try:
        folder = os.path.join(user.home, "store")
        os.makedirs(folder)
        plain = Sandbox(folder, "rootless", user)
        with pytest.raises(HostError, match="/etc/subuid gives jettison-plain no ids") as caught:
            plain.ask(spec.TierRequest())
        plain.close()
        assert caught.value.hint is not None
        assert caught.value.hint.startswith("usermod --add-subuids ")
    finally:
        users.remove("jettison-plain")


def test_text_that_no_message_can_hold_is_an_error_not_a_crash(base: Sandbox) -> None:
    with Keeper.start(base.folder, "root") as keeper, pytest.raises(InputError, match="host entry"):
        keeper.ask(base.request("/bin/true", extra_hosts=("nonsense",)))


def test_what_works_is_remembered_until_the_machine_refuses_something(base: Sandbox) -> None:
    note = os.path.join(base.folder, "isolation")
    for _ in range(2):
        with Keeper.start(base.folder, "root") as keeper:
            assert keeper.tier.name == "root"
        assert os.path.exists(note)
    request = base.request("/bin/true")
    os.rmdir(request.scratch)
    with Keeper.start(base.folder, "root") as keeper, pytest.raises(HostError):
        keeper.ask(request)
    assert not os.path.exists(note)


BORN = """
import os, sys, threading
from jettison.base import program
from jettison.sandbox import spec
from jettison.sandbox.client import Keeper

folder, ours, several = sys.argv[1:]
if ours == "ours":
    program.claim()
held = open(os.path.join(folder, "held"), "w")
done = threading.Event()
if several == "several":
    threading.Thread(target=done.wait).start()
with Keeper.start(folder, "root") as keeper:
    assert keeper.ask(spec.TierRequest()).tier.name == "root"
    of = f"/proc/{keeper._pid}"
    with open(f"{of}/cmdline", "rb") as theirs, open("/proc/self/cmdline", "rb") as own:
        print("copy" if theirs.read() == own.read() else "fresh")
    children = open(f"{of}/task/{keeper._pid}/children").read().split()
    for pid in (keeper._pid, *children):
        names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert held.name not in names, names
    with open(f"/proc/{(*children, keeper._pid)[0]}/status") as status:
        print(*(line.split()[1] for line in status if line.startswith(("SigBlk", "SigCgt"))))
done.set()
"""


@pytest.mark.parametrize(
    ("ours", "several", "born"), [("ours", "one", "copy"), ("ours", "several", "fresh"), ("else's", "one", "fresh")]
)
def test_a_keeper_is_a_copy_only_of_our_own_program_with_one_thread(
    base: Sandbox, ours: str, several: str, born: str
) -> None:
    words = [sys.executable, "-c", BORN, base.folder, ours, several]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.stdout.split() == [born, "0" * 16, "0" * 16], done.stderr
