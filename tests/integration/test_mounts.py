"""RUN's mounts, networks and privileges through the command line, for root and for an ordinary user. Reference §1.8."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import images
from fakes.servers import Answer, Server
from project import Project
from somebody import Somebody, somebody
from users import ordinary_user

__all__ = ["ordinary_user", "somebody"]

SECRET = "correct-horse-battery"


# Caches.


def test_a_cache_outlives_the_build_and_leaves_no_trace(somebody: Somebody) -> None:
    cache = "--mount=type=cache,target=/c"
    somebody.dockerfile(f"RUN {cache} echo 1 >> /c/log; cat /c/log > /seen")
    assert somebody.got("seen") == "1\n"
    somebody.dockerfile(f"RUN {cache} echo 2 >> /c/log; cat /c/log > /seen")
    image = somebody.project.image()
    assert image.file("seen") == b"1\n2\n"
    assert not any(path.startswith("c") for path in image.tree())


def test_caches_are_told_apart_by_id_owner_and_seed(somebody: Somebody) -> None:
    somebody.dockerfile(
        "RUN mkdir -p /seed/sub && echo seeded > /seed/sub/file && chown -R 5:6 /seed",
        "FROM busybox",
        "RUN --mount=type=cache,target=/a echo a > /a/file",
        "RUN --mount=type=cache,target=/b,id=/a cat /b/file >> /seen",
        "RUN --mount=type=cache,target=/a,id=other ls /a >> /seen",
        "RUN --mount=type=cache,target=/a,uid=7,gid=8,mode=0700 ls /a >> /seen; stat -c '%u:%g %a' /a >> /seen",
        "RUN --mount=type=cache,target=/a,from=first,source=/seed stat -c '%u:%g %n' /a/sub/file >> /seen",
    )
    assert somebody.got("seen") == "a\n7:8 700\n5:6 /a/sub/file\n"


def test_no_cache_empties_a_cache_with_an_owner(somebody: Somebody) -> None:
    owned = "--mount=type=cache,target=/c,uid=5"
    somebody.dockerfile(f"RUN {owned} echo x >> /c/log; cat /c/log > /seen")
    assert somebody.got("seen", "--no-cache") == "x\n"
    assert somebody.got("seen", "--no-cache") == "x\n"
    somebody.dockerfile("RUN --mount=type=cache,target=/c echo x >> /c/log; cat /c/log > /seen")
    assert somebody.got("seen", "--no-cache") == "x\n"
    assert somebody.got("seen", "--no-cache") == "x\nx\n"


MEET = "for i in $(seq 200); do [ -e /c/{other} ] && break; sleep 0.05; done; [ -e /c/{other} ]"


def at_once(somebody: Somebody, *dockerfiles: str) -> list[int]:
    """Two builds of the command line, together; their exit codes."""
    codes: dict[str, int] = {}
    for name, text in zip("ab", dockerfiles, strict=True):
        somebody.dockerfile(text, name=f"{name}.Dockerfile")

    def build(name: str) -> None:
        codes[name] = somebody.project.build(f"--file={name}.Dockerfile").code

    threads = [threading.Thread(target=build, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [codes["a"], codes["b"]]


def test_builds_share_a_cache(somebody: Somebody) -> None:
    meet = [f"RUN --mount=type=cache,target=/c touch /c/{one}; " + MEET.format(other=two) for one, two in ("ab", "ba")]
    assert at_once(somebody, *meet) == [0, 0]


@pytest.mark.parametrize("sharing", ["private", "locked"])
def test_builds_do_not_share_a_cache(somebody: Somebody, sharing: str) -> None:
    alone = f"RUN --mount=type=cache,target=/c,sharing={sharing} mkdir /c/held && sleep 1 && rmdir /c/held # "
    assert at_once(somebody, alone + "a", alone + "b") == [0, 0]


def test_locked_caches_in_any_order_and_twice_do_not_wait_for_ever(somebody: Somebody) -> None:
    one, two = (f"--mount=type=cache,id={name},target=/{name},sharing=locked" for name in ("one", "two"))
    again = "--mount=type=cache,id=one,target=/again,sharing=locked"
    somebody.dockerfile(
        f"RUN {one} {two} sleep 0.5",
        "FROM busybox AS other",
        f"RUN {two} {one} {again} sleep 0.5; touch /one/file; ls /again > /seen",
        "FROM busybox",
        "COPY --from=first /bin/sh /first",
        "COPY --from=other /seen /",
    )
    assert somebody.got("seen", "--jobs=4") == "file\n"


# Secrets.


def test_a_secret_is_seen_by_its_step_alone(somebody: Somebody) -> None:
    path = somebody.file("token", SECRET + "\n")
    somebody.dockerfile(
        "RUN --mount=type=secret,id=token cat /run/secrets/token; stat -c '%a %u:%g' /run/secrets/token > /seen",
        'RUN --mount=type=secret,id=token,env=TOKEN [ -n "$TOKEN" ] && echo it is $TOKEN && [ ! -e /run/secrets ]',
        "RUN --mount=type=secret,id=token,target=/etc/t,mode=0440,uid=7,gid=8 stat -c '%a %u:%g' /etc/t >> /seen",
        'RUN [ -z "$TOKEN" ] && ls -d /run/secrets /etc/t; true',
    )
    said = somebody.project.build(
        f"--secret=id=token,src={path}", f"--metadata-file={somebody.project.out}/m", "--tag=app"
    ).ok()
    assert SECRET not in said.stderr
    assert "it is ***" in said.stderr
    image = somebody.project.image(f"--secret=id=token,src={path}")
    assert image.file("seen") == b"400 0:0\n440 7:8\n"
    assert not {"run/secrets", "etc/t"} & image.tree().keys()
    assert SECRET.encode() not in b"".join(image.layers) + str(image.config).encode()
    assert holders_of(SECRET, somebody.project.store, somebody.project.out) == []


def holders_of(text: str, *folders: str) -> list[str]:
    """The files below folders that hold a text."""
    done = subprocess.run(["grep", "-raslF", text, *folders], capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_secrets_that_are_missing(somebody: Somebody) -> None:
    somebody.dockerfile("RUN --mount=type=secret,id=token [ ! -e /run/secrets/token ]")
    somebody.project.build().ok()
    somebody.dockerfile("RUN --mount=type=secret,id=token,required true")
    said = somebody.project.build()
    assert said.code == 4
    assert "secret token: not found" in said.stderr
    assert "--secret id=token,src=FILE" in said.stderr
    said = somebody.project.build("--secret=id=token,src=/nowhere/at/all")
    assert said.code == 4
    assert "/nowhere/at/all" in said.stderr


def test_a_secret_does_not_enter_the_key(somebody: Somebody) -> None:
    somebody.dockerfile("RUN --mount=type=secret,id=token,env=TOKEN echo $TOKEN > /seen")
    first = somebody.got("seen", f"--secret=id=token,src={somebody.file('one', 'one')}")
    assert somebody.got("seen", f"--secret=id=token,src={somebody.file('two', 'two')}") == first == "one\n"


# Agents.

ASK = """\
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die "no agent: $!";
print $s pack("NC", 1, 11);
read($s, my $head, 5);
my ($length, $kind) = unpack("NC", $head);
read($s, my $body, $length - 1);
print "kind $kind keys ", unpack("N", $body), "\\n";
"""


@contextmanager
def agent(folder: str) -> Iterator[str]:
    """A real ssh-agent with one key, or, without one on this machine, what says the same."""
    path = os.path.join(folder, "agent")
    if shutil.which("ssh-agent") and shutil.which("ssh-add"):
        with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            process.stdout.readline()  # it listens by now
            key = os.path.join(folder, "key")
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
            subprocess.run(["ssh-add", "-q", key], env={**os.environ, "SSH_AUTH_SOCK": path}, check=True)
            try:
                yield path
            finally:
                process.terminate()
        return
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        thread = threading.Thread(target=_answer, args=(listening,))
        thread.start()
        try:
            yield path
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _answer(listening: socket.socket) -> None:
    while True:
        try:
            near = listening.accept()[0]
        except OSError:
            return
        with near:
            assert near.recv(5) == b"\0\0\0\1\x0b"  # which keys are there?
            near.sendall(b"\0\0\0\x0d\x0c\0\0\0\1\0\0\0\0\0\0\0\0")


def new_key(folder: str, name: str) -> str:
    """A private key without a passphrase; its path."""
    path = os.path.join(folder, name)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.mark.network  # Debian's perl speaks to sockets; busybox does not
def test_a_step_speaks_to_the_agent(tmp_path: object) -> None:
    project = Project(str(tmp_path)).base("debian:bookworm-slim")
    project.files(
        Dockerfile="FROM debian:bookworm-slim\nCOPY ask.pl /\nUSER 1234\n"
        "RUN --mount=type=ssh,uid=1234 stat -c '%a %u %F' $SSH_AUTH_SOCK && perl /ask.pl && perl /ask.pl && id -u\n"
        'USER 0\nRUN [ -z "$SSH_AUTH_SOCK" ] && ls -A /run > /left && mkdir /made\n',
        ask__pl=ASK,
    )
    keys = [new_key(project.folder, name) for name in ("one", "two")]
    with agent(project.folder) as path:
        said = project.build(f"--ssh=default={path}").ok().stderr
        assert "600 1234 socket" in said
        assert said.count("kind 12 keys 1") == 2
        said = project.build(f"--ssh=default={keys[0]},{keys[1]}", "--no-cache").ok().stderr
        assert said.count("kind 12 keys 2") == 2
        image = project.image(f"--ssh=default={path}")
    assert "buildkit" not in image.file("left").decode()
    assert "run/buildkit" not in image.tree()


def test_an_agent_in_the_step(somebody: Somebody) -> None:
    somebody.dockerfile(
        "RUN --mount=type=ssh --mount=type=ssh,id=two,target=/two,mode=0666 "
        "stat -c '%a %F' $SSH_AUTH_SOCK /two /run/buildkit/ssh_agent.0 > /seen"
    )
    at = somebody.project.folder
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for number, listening in enumerate((one, two)):
            listening.bind(f"{at}/{number}")
            listening.listen()
        somebody.give()
        words = ("--ssh=default", f"--ssh=two={at}/1")
        out = os.path.join(somebody.project.out, "image.tar")
        variables = {"SSH_AUTH_SOCK": f"{at}/0"}
        somebody.project.build(*words, f"--output=type=oci,dest={out}", variables=variables).ok()
    assert images.read(out).file("seen") == b"666 socket\n666 socket\n600 socket\n"


def test_a_key_in_the_step_as_an_agent_that_ends_with_the_build(somebody: Somebody) -> None:
    somebody.dockerfile("RUN --mount=type=ssh,mode=0666 stat -c '%a %F' $SSH_AUTH_SOCK")
    key = new_key(somebody.project.folder, "key")
    somebody.give()
    before = set(glob.glob(f"{tempfile.gettempdir()}/jettison-ssh-*"))
    said = somebody.project.build(f"--ssh=default={key}").ok()
    assert "666 socket" in said.stderr
    assert set(glob.glob(f"{tempfile.gettempdir()}/jettison-ssh-*")) <= before


def test_agents_that_are_missing(somebody: Somebody) -> None:
    somebody.dockerfile('RUN --mount=type=ssh [ -z "$SSH_AUTH_SOCK" ]')
    somebody.project.build().ok()
    somebody.dockerfile("RUN --mount=type=ssh,required true")
    said = somebody.project.build()
    assert said.code == 4
    assert "ssh default: not found" in said.stderr
    key = somebody.file("key", "no socket")
    said = somebody.project.build(f"--ssh=default={key}")
    assert said.code == 4
    assert "is not a socket" in said.stderr


# Other mounts.


def test_what_is_written_to_a_bind_mount_is_discarded(somebody: Somebody) -> None:
    somebody.project.write("ctx/file", "as it was")
    somebody.dockerfile(
        "RUN echo stage > /file",
        "FROM busybox AS last",
        "RUN --mount=target=/c,source=ctx,rw echo changed > /c/file && touch /c/new && cat /c/file > /seen",
        "RUN --mount=target=/s,from=first,rw echo changed > /s/file && rm -r /s/bin && cat /s/file >> /seen",
        "RUN --mount=target=/s,from=first cat /s/file >> /seen && ls /s/bin/sh >> /seen",
        "RUN --mount=target=/c,source=ctx ls /c >> /seen; cat /c/file >> /seen; touch /c/new 2>> /seen; true",
    )
    seen = somebody.got("seen")
    assert seen.startswith("changed\nchanged\nstage\n/s/bin/sh\nfile\nas it was")
    assert "Read-only file system" in seen
    with open(os.path.join(somebody.project.context, "ctx/file"), encoding="utf-8") as file:
        assert file.read() == "as it was"
    assert os.listdir(os.path.join(somebody.project.context, "ctx")) == ["file"]


def test_mounts_from_an_image_and_a_named_context(somebody: Somebody) -> None:
    somebody.project.bases["other"] = somebody.project.bases["busybox"]
    more = os.path.join(somebody.project.folder, "more")
    os.makedirs(more)
    somebody.file("more/file", "named")
    somebody.dockerfile(
        "RUN --mount=from=other,target=/o --mount=from=more,target=/m ls /o/bin/sh > /seen; cat /m/file >> /seen"
    )
    assert somebody.got("seen", f"--build-context=more={more}") == "/o/bin/sh\nnamed"


def test_a_tmpfs_has_the_size_that_is_asked(somebody: Somebody) -> None:
    somebody.dockerfile(
        "RUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/f bs=64k count=64 2>/dev/null; "
        "stat -c %s /t/f > /seen; df -k /t /dev/shm | awk 'NR>1{print $2}' >> /seen"
    )
    assert somebody.got("seen", "--shm-size=2m") == "1048576\n1024\n2048\n"


# Networks, names and privileges.


def test_networks(somebody: Somebody) -> None:
    with Server(lambda _: Answer(body=b"answered\n")) as server:
        fetch = f"wget -q -O - {server.url}/ 2>&1"
        somebody.dockerfile(
            f"RUN {fetch} > /seen",
            f"RUN --network=none if {fetch}; then false; fi; cat /proc/net/dev | tail -n +3 | cut -d: -f1 >> /seen",
        )
        assert somebody.got("seen").split() == ["answered", "lo"]
        somebody.dockerfile(f"RUN {fetch} > /seen || echo none >> /seen")
        assert "none" in somebody.got("seen", "--network=none")
        somebody.dockerfile(f"RUN --network=host {fetch} > /seen")
        said = somebody.project.build()
        assert said.code == 2
        assert "network.host is not allowed" in said.stderr
        assert "--allow network.host" in said.stderr
        assert somebody.got("seen", "--allow=network.host") == "answered\n"


def test_privileges(somebody: Somebody) -> None:
    mount = "mkdir /m && mount -t tmpfs none /m 2>/dev/null && echo mounted"
    somebody.dockerfile(f"RUN {mount} > /seen || echo refused > /seen")
    assert somebody.got("seen") == "refused\n"
    somebody.dockerfile(f"RUN --security=insecure {mount} > /seen")
    said = somebody.project.build()
    assert said.code == 2
    assert "security.insecure is not allowed" in said.stderr
    assert somebody.got("seen", "--allow=security.insecure") == "mounted\n"


def test_hosts(somebody: Somebody) -> None:
    somebody.dockerfile("RUN grep -h db /etc/hosts > /seen; hostname >> /seen")
    words = ("--add-host=db:10.1.2.3", "--add-host=db6=::1", "--build-arg=BUILDKIT_SANDBOX_HOSTNAME=here")
    assert somebody.got("seen", *words).split() == ["10.1.2.3", "db", "::1", "db6", "here"]
