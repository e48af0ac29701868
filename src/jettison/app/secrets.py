"""The values of a build's secrets and the sockets of its ssh agents: read once, when a step first needs them.

A secret whose change is to rebuild has a stamp in keys: scrypt of its value, salted with what the store alone knows. So
neither a store nor a cache that was made from it tells the value, and whoever has both guesses slowly.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from jettison.app.agents import Agents
from jettison.app.request import BuildRequest, Secret
from jettison.base.errors import InputError

MAX_SECRET_BYTES = 500 * 1024  # as docker's
SHORTEST, SHORTEST_LINE = 4, 8  # of what is masked, in characters
MOST_LINES = 500
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}  # some 50 ms and 16 MB a guess


class Secrets:
    """Looks values up by id. A value never enters a key, an event or the record.

    The agents that were started for private keys end with the `with` block.
    """

    def __init__(self, request: BuildRequest) -> None:
        self._secrets = {secret.id: secret for secret in request.secrets}
        self._agents = Agents(request.ssh)
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._agents.close()

    def value(self, secret_id: str) -> bytes | None:
        """The bytes of a secret, None when the caller gave none of that id. Raises InputError."""
        secret = self._secrets.get(secret_id)
        if secret is None:
            return None
        with self._lock:
            if secret_id not in self._values:
                self._values[secret_id] = _read(secret)
            return self._values[secret_id]

    def stamps(self, salt: Callable[[], bytes]) -> dict[str, str]:
        """What stands in keys for the secrets whose change rebuilds, by id. `salt` is asked when there is one."""
        chosen = [secret.id for secret in self._secrets.values() if secret.rebuild]
        return {secret_id: _stamp(secret_id, self.value(secret_id) or b"", salt()) for secret_id in chosen}

    def agent(self, agent_id: str) -> str | None:
        """The path of an agent's socket, None when the caller gave none of that id. Raises InputError, HostError."""
        return self._agents.path(agent_id)

    def check(self) -> None:
        """Read every secret and look for every agent now: a wrong path fails the build before a step runs.

        Raises InputError, HostError.
        """
        for secret_id in self._secrets:
            self.value(secret_id)
        self._agents.check()

    def masked(self) -> tuple[str, ...]:
        """What the log must not show, longest first: the text of every value that is not trivially short, and the lines
        of one that has several, since output comes line by line.
        """
        found: set[str] = set()
        for data in self._values.values():
            text = data.decode("utf-8", "replace").strip()
            lines = [line.strip() for line in text.splitlines()[:MOST_LINES]]
            found.update(line for line in lines if len(line) >= SHORTEST_LINE)
            found.add(text)
        return tuple(sorted((text for text in found if len(text) >= SHORTEST), key=len, reverse=True))


def _stamp(secret_id: str, value: bytes, salt: bytes) -> str:
    import hashlib

    return hashlib.scrypt(value, salt=salt + secret_id.encode("utf-8", "surrogateescape"), **_SCRYPT).hex()


def _read(secret: Secret) -> bytes:
    if secret.env is not None:
        text = os.environ.get(secret.env)
        if text is None:
            raise InputError(
                f"secret {secret.id}: the environment has no {secret.env}", hint=f"export {secret.env}=..."
            )
        return text.encode("utf-8", "surrogateescape")
    path = os.path.expanduser(secret.src or "")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        hint = f"--secret id={secret.id},src=FILE names a file that you may read"
        raise InputError(f"secret {secret.id}: {path}: {error.strerror}", hint=hint) from None
    if len(data) > MAX_SECRET_BYTES:
        raise InputError(f"secret {secret.id}: {path} is larger than {MAX_SECRET_BYTES} bytes")
    return data
