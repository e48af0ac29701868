"""--ssh: a socket that is there, or private keys, which get an agent that ends with the build."""

import os
import select
import signal
import socket
import subprocess
import sys

import pytest

from jettison.app.agents import Agents
from jettison.app.request import SshAgent
from jettison.base.errors import HostError, InputError


def socket_at(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    return listener


def agents(*paths, agent_id="default"):
    return Agents((SshAgent(id=agent_id, paths=tuple(map(str, paths))),))


def new_key(path, *, passphrase="", kind="ed25519", form=()):
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, *form, "-f", str(path)]
    subprocess.run(command, check=True)
    return str(path)


def listed(agent):
    """The names of the keys that an agent holds."""
    command = ["ssh-add", "-l"]
    done = subprocess.run(
        command, env={**os.environ, "SSH_AUTH_SOCK": agent}, capture_output=True, text=True, check=False
    )
    return [line.split()[2] for line in done.stdout.splitlines()]


def test_sockets(tmp_path, monkeypatch):
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    monkeypatch.setenv("SSH_AUTH_SOCK", one)
    with socket_at(one), socket_at(two):
        found = Agents((SshAgent(), SshAgent(id="k", paths=(two,))))
        found.check()
        assert (found.path("default"), found.path("k"), found.path("none")) == (one, two, None)
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(InputError, match="no agent is running"):
        found.path("default")


def test_an_agent_is_a_socket_or_keys(tmp_path, monkeypatch):
    (tmp_path / "text").write_text("a key")
    with pytest.raises(InputError, match="it is not a socket, and no private key"):
        agents(tmp_path / "text").check()
    with pytest.raises(InputError, match=r"--ssh mine: .*No such file"):
        agents(tmp_path / "none", agent_id="mine").check()
    with pytest.raises(InputError, match="Is a directory"):
        agents(tmp_path).check()
    monkeypatch.chdir(tmp_path)
    with socket_at("agent"), socket_at("other"):
        agents("agent").check()
        with pytest.raises(InputError, match="only a single socket"):
            agents("agent", "other").check()
        with pytest.raises(InputError, match="cannot be one agent"):
            agents("agent", new_key(tmp_path / "id")).check()


def test_keys_get_an_agent_that_ends(tmp_path):
    one, two = new_key(tmp_path / "one"), new_key(tmp_path / "two", kind="rsa", form=("-m", "PEM"))
    os.chmod(one, 0o644)  # which BuildKit does not mind
    with open(two, "r+b") as file:
        text = file.read().rstrip().replace(b"\n", b"\r\n")
        file.seek(0)
        file.write(text)
    found = Agents((SshAgent(paths=(one, two)), SshAgent(id="other", paths=(one,))))
    found.check()
    agent, other = found.path("default"), found.path("other")
    assert agent == found.path("default") != other
    assert len(listed(agent)) == 2
    assert listed(other) == ["one"]
    found.close()
    assert not os.path.exists(os.path.dirname(agent))
    assert not os.path.exists(other)


@pytest.mark.parametrize(
    ("kind", "form"), [("ed25519", ()), ("rsa", ("-m", "PEM")), ("rsa", ("-m", "PKCS8")), ("ecdsa", ())]
)
def test_a_key_with_a_passphrase_is_refused(tmp_path, kind, form):
    with pytest.raises(InputError, match="passphrase protected"):
        agents(new_key(tmp_path / "id", passphrase="long enough", kind=kind, form=form)).check()


def test_a_damaged_key_is_told_of(tmp_path):
    path = new_key(tmp_path / "id")
    with open(path) as file:
        lines = file.read().splitlines()
    with open(path, "w") as file:
        file.write("\n".join([lines[0], *lines[2:]]))
    found = agents(path)
    with pytest.raises(InputError, match=f"--ssh default: failed to parse {path}: "):
        found.path("default")
    found.close()


def test_keys_without_the_programs(tmp_path, monkeypatch):
    key = new_key(tmp_path / "id")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="needs ssh-agent"):
        agents(key).check()


def test_a_killed_build_leaves_no_agent(tmp_path):
    text = (
        "import sys, time\nfrom jettison.app.keyagent import KeyAgent\n"
        "agent = KeyAgent((sys.argv[1],))\nprint(agent._holder.pid, agent._folder, flush=True)\nsys.stdin.read()\n"
    )
    key = new_key(tmp_path / "id")
    build = subprocess.Popen(
        [sys.executable, "-c", text, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pid, folder = build.stdout.readline().split()
    holder = os.pidfd_open(int(pid))
    build.send_signal(signal.SIGKILL)
    build.communicate()
    assert select.select([holder], [], [], 30)[0], "the agent goes on after its build"
    os.close(holder)
    assert os.listdir(folder) == []  # it took its socket along
    os.rmdir(folder)
