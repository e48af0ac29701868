"""The ssh agents that a build may use: sockets of this machine, and agents of its own for keys that it was given."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison.app.request import SshAgent
from jettison.base.errors import InputError, JettisonError

if TYPE_CHECKING:
    from jettison.app.keyagent import KeyAgent

APART = "give each an id of its own: --ssh ID=PATH"


class Agents:
    """Looks sockets up by id. An agent for keys is started when it is first asked for, and ends with `close`."""

    def __init__(self, given: tuple[SshAgent, ...]) -> None:
        self._given = {agent.id: agent for agent in given}
        self._started: dict[str, KeyAgent] = {}
        self._lock = threading.Lock()

    def path(self, agent_id: str) -> str | None:
        """The path of an agent's socket, None when the caller gave none of that id. Raises InputError, HostError."""
        agent = self._given.get(agent_id)
        if agent is None:
            return None
        with self._lock, _named(agent_id):
            if agent_id in self._started:
                return self._started[agent_id].path
            socket, keys = _sorted(agent)
            return socket or self._start(agent_id, keys)

    def _start(self, agent_id: str, keys: tuple[str, ...]) -> str:
        from jettison.app.keyagent import KeyAgent

        self._started[agent_id] = KeyAgent(keys)
        return self._started[agent_id].path

    def check(self) -> None:
        """Look for every socket and read every key. Raises InputError, HostError when there is no program for keys."""
        for agent in self._given.values():
            with _named(agent.id):
                _, keys = _sorted(agent)
                if keys:
                    from jettison.app.keyagent import check_programs, read_key

                    for key in keys:
                        read_key(key)
                    check_programs()

    def close(self) -> None:
        """End the agents that were started."""
        with self._lock:
            for agent in self._started.values():
                agent.close()
            self._started.clear()


@contextmanager
def _named(agent_id: str) -> Iterator[None]:
    """What is wrong within is wrong with that --ssh."""
    try:
        yield
    except JettisonError as error:
        raise type(error)(f"--ssh {agent_id}: {error.message}", hint=error.hint) from None


def _sorted(agent: SshAgent) -> tuple[str, tuple[str, ...]]:
    """The socket that the agent is, or else the files of its keys; absolute, for the keeper works elsewhere.

    Raises InputError.
    """
    paths = agent.paths or tuple(filter(None, (os.environ.get("SSH_AUTH_SOCK"),)))
    if not paths:
        hint = "start ssh-agent, or name its socket or a private key: --ssh ID=PATH"
        raise InputError("no agent is running", hint=hint)
    paths = tuple(os.path.abspath(os.path.expanduser(path)) for path in paths)
    sockets = [path for path in paths if _is_socket(path)]
    if not sockets:
        return "", paths
    if len(paths) > len(sockets):
        raise InputError("keys and a socket cannot be one agent", hint=APART)
    if len(sockets) > 1:
        raise InputError("only a single socket is allowed", hint=APART)
    return sockets[0], ()


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="name an agent's socket, or a private key") from None
