"""Debian's registry server on loopback, for the workloads that pull."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from bench import meter
from fakes.servers import free_port

LIMIT_S = 30.0


class Registry:
    """A registry below `folder`, while the program runs."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder)
        self.address = f"127.0.0.1:{free_port()}"
        config = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": os.path.join(folder, "storage")}},
            "http": {"addr": self.address},
            "log": {"level": "error", "accesslog": {"disabled": True}},
        }
        with open(os.path.join(folder, "registry.yml"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        out = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
        words = ["docker-registry", "serve", file.name]
        self._pid = os.posix_spawnp(words[0], words, dict(os.environ), file_actions=actions)
        os.close(out)
        self._wait()

    @staticmethod
    def is_here() -> bool:
        """Whether the program is installed."""
        return shutil.which("docker-registry") is not None and shutil.which("skopeo") is not None

    def push(self, layout: str, name: str) -> str:
        """Put the image of a layout into it; the reference that pulls it."""
        reference = f"{self.address}/{name}:latest"
        words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*words, f"oci:{layout}", f"docker://{reference}"], check=True, capture_output=True)
        return reference

    def close(self) -> None:
        """End it."""
        meter.stop(self._pid)

    def _wait(self) -> None:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://{self.address}/v2/", timeout=1):
                    return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise meter.CommandError("docker-registry did not start")
