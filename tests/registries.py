"""The registry that Debian packages, for tests: on this machine, with a folder of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fakes.servers import free_port, started

HTPASSWD = "ada:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"  # of: secret


@contextmanager
def serving(folder: str, *, login: bool = False, port: int = 0) -> Iterator[str]:
    """Its address while it runs. `login`: ada's password is `secret`, and nobody else gets in."""
    port = port or free_port()
    config: dict[str, object] = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": os.path.join(folder, "registry")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
    }
    if login:
        with open(os.path.join(folder, "htpasswd"), "w", encoding="ascii") as file:
            file.write(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": os.path.join(folder, "htpasswd")}}
    path = os.path.join(folder, "registry.yml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    with started(["docker-registry", "serve", path], port):
        yield f"127.0.0.1:{port}"
