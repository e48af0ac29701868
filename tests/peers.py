"""Other builders' programs, run beside ours and apart from the machine's own storage: buildah, skopeo, umoci."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

_BUD = (
    "bud",
    "--format=docker",
    "--isolation=chroot",
    "--network=host",
    "--pull-never",
    "--no-cache",
    "--identity-label=false",
)


class PeerError(Exception):
    """A peer's program failed; the text has its last lines."""


def call(command: Sequence[str], *, variables: dict[str, str] | None = None, cwd: str | None = None) -> str:
    """Run a program to its end, and return what it printed."""
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(
        command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise PeerError(f"{' '.join(command[:6])} ended with {done.returncode}:\n{tail}")
    return done.stdout


class Buildah:
    """buildah with images and layers of its own below `folder`. Building needs root, or subordinate ids."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        storage = self._write(
            "storage.conf",
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n',
        )
        registries = self._write(
            "registries.conf", 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n'
        )
        policy = self._write("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        self.policy = ("--signature-policy", policy)
        self.variables = {
            "CONTAINERS_STORAGE_CONF": storage,
            "CONTAINERS_REGISTRIES_CONF": registries,
            "BUILDAH_HISTORY": "true",
            "TMPDIR": self._folder("tmp"),
            "REGISTRY_AUTH_FILE": self._write("auth.json", "{}"),
        }

    def version(self) -> str:
        """As in `1.28.2`."""
        return call(["buildah", "--version"]).split()[2]

    def load(self, layout: str, name: str) -> None:
        """Take an image of an OCI layout directory into the storage as docker.io/library/NAME."""
        full = f"docker.io/library/{name}" + ("" if ":" in name else ":latest")
        call(
            ["skopeo", "--policy", self.policy[1], "copy", "--quiet", f"oci:{layout}", f"containers-storage:{full}"],
            variables=self.variables,
        )

    def build(self, context: str, out: str, flags: Sequence[str] = (), variables: dict[str, str] | None = None) -> str:
        """Build a context and write the image as a docker archive at `out`; what was printed.

        In docker's format, since buildah leaves SHELL, HEALTHCHECK and ONBUILD out of OCI's.
        """
        words = [*_BUD, *self.policy]
        printed = self._buildah(*words, *flags, "--tag", "made", context, variables=variables)
        if os.path.exists(out):
            os.unlink(out)
        self._buildah("push", "--quiet", *self.policy, "localhost/made", f"docker-archive:{out}:localhost/made:latest")
        self._buildah("rmi", "--force", "localhost/made")
        return printed

    def build_cached(self, context: str) -> None:
        """Build with the layer cache into the storage, and write nothing."""
        words = [word for word in _BUD if word != "--no-cache"]
        self._buildah(*words, "--layers", *self.policy, "--tag", "kept", context)

    def close(self) -> None:
        """Remove all containers and images, whose mounts would outlive the folder."""
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")

    def _buildah(self, *words: str, variables: dict[str, str] | None = None) -> str:
        command = ["buildah", "--cgroup-manager", "cgroupfs", *words]
        return call(command, variables={**self.variables, **(variables or {})})

    def _write(self, name: str, text: str) -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _folder(self, name: str) -> str:
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path
