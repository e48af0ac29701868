"""Parts of a step that need no namespace: paths, programs, hosts, output, messages."""

import errno
import os
import socket
import stat

import pytest

from jettison.base.errors import HostError, InputError
from jettison.sandbox import agent, bound, launch, spec, world
from jettison.sandbox.desk import failure
from jettison.sandbox.output import Pump
from jettison.sandbox.probe import filesystem_of


@pytest.fixture
def root(tmp_path: os.PathLike[str]) -> str:
    """A tree with symlinks that would lead out of it."""
    top = os.path.join(tmp_path, "root")
    os.makedirs(os.path.join(top, "a", "b"))
    for name, target in (
        ("abs", "/a/b"),
        ("up", "../../../../a"),
        ("a/side", "b/../../abs"),
        ("out", "/etc/passwd"),
        ("loop", "loop"),
        ("slash", "/"),
    ):
        os.symlink(target, os.path.join(top, name))
    return top


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/", ""),
        ("/a/./b/", "a/b"),
        ("a/../../../a", "a"),
        ("/abs", "a/b"),
        ("/up/b", "a/b"),
        ("/a/side", "a/b"),
        ("/slash/a", "a"),
    ],
)
def test_a_path_is_resolved_within_its_root(root: str, path: str, real: str) -> None:
    assert bound.resolve(root, path) == os.path.join(root, real).rstrip("/") or bound.resolve(root, path) == f"{root}/"


@pytest.mark.parametrize("path", ["/out", "/nosuch", "/a/nosuch/x"])
def test_what_is_not_in_the_root_is_not_found(root: str, path: str) -> None:
    with pytest.raises(InputError, match="not found"):
        bound.resolve(root, path)


def test_symlinks_in_a_circle(root: str) -> None:
    with pytest.raises(InputError, match="too many"):
        bound.resolve(root, "/loop")


def test_mounts_stand_with_parents_first_and_the_last_of_equals() -> None:
    def at(target: str, size: int = 0) -> spec.BoundTmpfs:
        return spec.BoundTmpfs(target=target, size_bytes=size)

    assert bound.ordered([at("/b/c"), at("/a-b"), at("/b", 1), at("/a/x"), at("/a"), at("/b/", 2)]) == [
        at("/a"),
        at("/a/x"),
        at("/a-b"),
        at("/b/", 2),
        at("/b/c"),
    ]


def test_hosts() -> None:
    text = world.hosts("moon", ("db:10.0.0.1", "six=[fe80::1]", "v6:::1", "gate:host-gateway"))
    assert text.splitlines()[2:] == ["10.0.0.1\tdb", "fe80::1\tsix", "::1\tv6", "127.0.0.1\tgate"]
    for bad in ("db", "db:", ":1.2.3.4", "a b:1.2.3.4", "a\nb:1.2.3.4"):
        with pytest.raises(InputError, match="bad host entry"):
            world.hosts("moon", (bad,))
    for bad in ("db:bar", "db:1.2.3", "db:1.2.3.4 evil"):
        with pytest.raises(InputError, match="invalid IP address"):
            world.host_line(bad)


@pytest.fixture
def programs(tmp_path: os.PathLike[str]) -> str:
    for directory, name, mode in (("one", "plain", 0o644), ("two", "plain", 0o755), ("two", "only", 0o644)):
        os.makedirs(os.path.join(tmp_path, directory, "dir"), exist_ok=True)
        path = os.path.join(tmp_path, directory, name)
        with open(path, "wb"):
            os.chmod(path, mode)
    return f"{tmp_path}/none:{tmp_path}/one:{tmp_path}/two"


def test_a_program_is_the_first_that_can_be_executed(programs: str) -> None:
    assert launch.find("plain", programs) == programs.split(":")[2] + "/plain"


@pytest.mark.parametrize(
    ("name", "kind"), [("nosuch", FileNotFoundError), ("", FileNotFoundError), ("dir", FileNotFoundError)]
)
def test_no_program(programs: str, name: str, kind: type[OSError]) -> None:
    with pytest.raises(kind, match=r"executable file not found in \$PATH"):
        launch.find(name, programs)


def test_a_program_without_permission(programs: str) -> None:
    with pytest.raises(PermissionError, match="permission denied"):
        launch.find("only", programs)


def pumped(*writes: bytes) -> list[bytes]:
    """The frames of output that is written in these pieces, the first read while the process lives."""
    reading, writing = os.pipe()
    ended = os.pipe()
    frames: list[bytes] = []
    pump = Pump({reading: 1}, lambda frame: frames.append(frame.data))
    for data in writes:
        os.write(writing, data)
        os.write(ended[1], b"!")
        pump.run(ended[0])
    os.close(writing)
    pump.rest()
    for fd in (reading, *ended):
        os.close(fd)
    return frames


def test_a_step_that_takes_its_time_leaves_some_for_other_things_once() -> None:
    reading, writing = os.pipe()
    ended = os.pipe()
    calls: list[int] = []

    def when_idle() -> None:
        calls.append(1)
        os.write(ended[1], b"!")  # so it only ends once this was called

    Pump({reading: 1}, lambda _frame: None).run(ended[0], when_idle)
    for fd in (reading, writing, *ended):
        os.close(fd)
    assert calls == [1]


def test_output_is_cut_at_line_ends() -> None:
    assert pumped(b"one\ntwo\nthr", b"ee\nend") == [b"one\ntwo\n", b"three\n", b"end"]


def test_a_line_without_an_end_is_cut_at_16_kib() -> None:
    data = b"x" * 40_000
    pieces = pumped(data, b"y\n")
    assert b"".join(pieces) == data + b"y\n"
    assert [len(piece) for piece in pieces] == [2 * 16 * 1024, 40_000 - 2 * 16 * 1024 + 2]


def test_no_output() -> None:
    assert pumped() == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_with_the_path(number: int) -> None:
    told = failure(OSError(number, os.strerror(number), "/store/tmp/x"))
    assert (told.kind, told.message) == ("HostError", "the disk is full: /store/tmp/x")
    assert told.hint is not None
    assert "make room" in told.hint


def test_a_fault_of_ours_keeps_its_traceback_in_the_hint() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        raise ZeroDivisionError("by \udcff")
    told = failure(caught.value)
    assert (told.kind, told.message) == ("InternalError", "ZeroDivisionError: by \\udcff")
    assert told.hint is not None
    assert "test_step_parts" in told.hint


def test_an_error_keeps_its_kind_message_and_hint() -> None:
    assert failure(HostError("no", hint="yes")) == spec.Failed(kind="HostError", message="no", hint="yes")


def test_connections_are_passed_on_to_the_agent(tmp_path: os.PathLike[str]) -> None:
    directory = os.path.join(tmp_path, "long" * 40)  # longer than a socket's address may be
    os.mkdir(directory)
    far = os.path.join("/tmp", f"agent-{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as real, agent.listen(directory, os.getuid(), os.getgid(), 0o600) as near:
        assert stat.S_IMODE(os.stat(f"{directory}/socket").st_mode) == 0o600
        real.bind(far)
        real.listen()
        helper = agent.pass_on(near, far)
        before = os.getcwd()
        os.chdir(directory)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        try:
            for number, client in enumerate(clients):
                client.connect("socket")
                client.sendall(b"hello %d" % number)
                with real.accept()[0] as answering:
                    assert answering.recv(100) == b"hello %d" % number
                    answering.sendall(b"world")
                    assert client.recv(100) == b"world"
                assert client.recv(100) == b""
        finally:
            os.chdir(before)
            for client in clients:
                client.close()
            os.kill(helper, 9)
            os.waitpid(helper, 0)
            os.unlink(far)


def test_the_filesystem_of_a_path_has_a_name() -> None:
    assert filesystem_of("/proc") == "proc"
