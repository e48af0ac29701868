"""An ssh agent of a build's own, for private keys that were given as files: the program `ssh-agent`, ended with it.

What BuildKit does in its client: keys with a passphrase are refused, and keys reach a step as an agent's socket only.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import subprocess
import tempfile

from jettison.base.errors import HostError, InputError

MAX_KEY_BYTES = 100 * 1024  # as BuildKit's
PROGRAMS = ("ssh-agent", "ssh-add")
ADD_S = 30.0  # what ssh-add may take: it only talks to the agent

# Ends the agent when its own standard input ends, which is ours: so a killed build leaves no agent.
_HOLD = 'ssh-agent -D -a "$0" & agent=$!; exec >/dev/null; cat; kill $agent; wait $agent'


def read_key(path: str) -> bytes:
    """The private key that a file holds. Raises InputError where that is none, or has a passphrase."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_KEY_BYTES + 1).replace(b"\r\n", b"\n")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="name an agent's socket, or a private key") from None
    if len(data) > MAX_KEY_BYTES or b"PRIVATE KEY-----" not in data:
        hint = "name an agent's socket, or a private key such as ~/.ssh/id_ed25519"
        raise InputError(f"failed to parse {path}: it is not a socket, and no private key", hint=hint)
    if _has_passphrase(data):
        hint = "give an agent that has it: eval $(ssh-agent); ssh-add FILE; then --ssh default"
        raise InputError(f"failed to parse {path}: the private key is passphrase protected", hint=hint)
    return data if data.endswith(b"\n") else data + b"\n"


def _has_passphrase(key: bytes) -> bool:
    """Of the three forms of key files: PKCS 8, OpenSSH's own, and PEM as OpenSSL wrote it."""
    if b"BEGIN ENCRYPTED PRIVATE KEY" in key or b"Proc-Type: 4,ENCRYPTED" in key:
        return True
    _, begin, rest = key.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    if not begin:
        return False
    try:
        blob = base64.b64decode(rest.partition(b"-----END")[0])
    except binascii.Error:
        return False  # ssh-add will say what is wrong with it
    magic, length = b"openssh-key-v1\0", blob[15:19]  # then the cipher's name, behind its length
    return blob.startswith(magic) and blob[19 : 19 + int.from_bytes(length)] != b"none"


def check_programs() -> None:
    """Raise HostError when there is no ssh-agent, or no ssh-add."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            hint = "install OpenSSH's client, or give an agent's socket"
            raise HostError(f"--ssh with a private key needs {program}, which is not here", hint=hint)


class KeyAgent:
    """An agent that holds the keys of some files, until it is closed. `path` is its socket."""

    def __init__(self, files: tuple[str, ...]) -> None:
        """Start it. Raises InputError for a file that is no key, HostError when the programs are missing or fail."""
        keys = [(file, read_key(file)) for file in files]
        check_programs()
        self._folder = tempfile.mkdtemp(prefix="jettison-ssh-")
        self.path = os.path.join(self._folder, "agent")
        self._holder = subprocess.Popen(
            ["sh", "-c", _HOLD, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._await()
            for file, key in keys:
                self._add(file, key)
        except BaseException:
            self.close()
            raise

    def _await(self) -> None:
        """Until the agent says its socket's place, which is when it listens."""
        if self._holder.stdout is None or not self._holder.stdout.readline():
            raise HostError("ssh-agent did not start", hint="give an agent's socket: --ssh default=SOCKET")

    def _add(self, file: str, key: bytes) -> None:
        """By standard input, so that nobody minds the file's mode and nobody is asked for a passphrase."""
        environ = {**os.environ, "SSH_AUTH_SOCK": self.path, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
        done = subprocess.run(
            ("ssh-add", "-q", "-"),
            input=key,
            env=environ,
            capture_output=True,
            timeout=ADD_S,
            start_new_session=True,
            check=False,
        )
        if done.returncode != 0:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["ssh-add failed"]
            raise InputError(f"failed to parse {file}: {words[-1]}", hint="is it a private key, and whole?")

    def close(self) -> None:
        """End the agent, and wait until it has."""
        self._holder.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)
