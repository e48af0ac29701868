"""The other builders: buildah, docker with the BuildKit in it, and BuildKit's own daemon."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

from bench import meter
from bench.builders import Job, plain_environment

LIMIT_S = 60.0


class Buildah:
    """Debian's buildah."""

    name = "buildah"

    def __init__(self, folder: str) -> None:
        self._log = os.path.join(folder, "log")
        os.makedirs(os.path.join(folder, "tmp"))

        def write(name: str, text: str) -> str:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
            return file.name

        storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        registries = 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n'
        registries += '[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n'
        self._policy = write("policy.json", '{"default": [{"type": "insecureAcceptAnything"}]}')
        self._variables = {
            **plain_environment(),
            "CONTAINERS_STORAGE_CONF": write("storage.conf", storage),
            "CONTAINERS_REGISTRIES_CONF": write("registries.conf", registries),
            "REGISTRY_AUTH_FILE": write("auth.json", "{}"),
            "TMPDIR": os.path.join(folder, "tmp"),
            "LC_ALL": "C.UTF-8",
        }

    def forget(self, layouts: Mapping[str, str]) -> None:
        """See Builder."""
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")
        for name, layout in layouts.items():
            to = f"containers-storage:docker.io/library/{name}" + ("" if ":" in name else ":latest")
            self._call("skopeo", "--policy", self._policy, "copy", "--quiet", f"oci:{layout}", to)

    def build(self, job: Job) -> meter.Sample:
        """See Builder."""
        flags = ["--isolation=chroot", "--network=host", "--layers", "--signature-policy", self._policy]
        done = self._buildah("bud", *flags, "--tls-verify=false", "--tag", "made", job.context)
        if job.out:
            _remove(job.out)
            words = ["push", "--quiet", "--signature-policy", self._policy, "made", f"oci-archive:{job.out}"]
            done = done.exported(self._buildah(*words))
        return done

    def version(self) -> str:
        """See Builder."""
        return subprocess.run(["buildah", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]

    def close(self) -> None:
        """See Builder."""
        with contextlib.suppress(meter.CommandError):
            self._buildah("rm", "--all")
            self._buildah("rmi", "--all", "--force")

    def _buildah(self, *words: str) -> meter.Sample:
        return self._call("buildah", "--cgroup-manager", "cgroupfs", *words)

    def _call(self, *words: str) -> meter.Sample:
        return meter.run([words], self._variables, self._log)


class Docker:
    """Debian's docker.io, its daemon started by hand: `docker build` by the BuildKit within it.

    That BuildKit writes no OCI archive: where one is wanted, skopeo makes it of the daemon's image.
    """

    name = "docker"
    CLIENT = "/usr/bin/docker"  # Debian's: another one, without buildx, may stand before it on PATH
    DAEMON = "/usr/sbin/dockerd"

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._log = os.path.join(folder, "log")
        os.makedirs(os.path.join(folder, "config"))
        self._socket = f"unix://{folder}/socket"
        for path, value in (("daemon.json", {}), ("config/config.json", {})):
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                json.dump(value, file)
        self._policy = os.path.join(folder, "policy.json")
        with open(self._policy, "w", encoding="utf-8") as file:
            file.write('{"default": [{"type": "insecureAcceptAnything"}]}')
        self._variables = {
            **plain_environment(),
            "DOCKER_HOST": self._socket,
            "DOCKER_CONFIG": os.path.join(folder, "config"),
            "DOCKER_BUILDKIT": "1",
            "TMPDIR": folder,
            "LC_ALL": "C.UTF-8",
        }
        self._pid = self._start()

    def _start(self) -> int:
        words = [self.DAEMON, "--config-file", f"{self._folder}/daemon.json", "--data-root", f"{self._folder}/data"]
        words += ["--exec-root", f"{self._folder}/exec", "--pidfile", f"{self._folder}/pid", "-H", self._socket]
        words += ["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--bridge=none"]
        words += ["--storage-driver=overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"]
        return _daemon(words, self._variables, f"{self._folder}/daemon.log", [self.CLIENT, "info"])

    def forget(self, layouts: Mapping[str, str]) -> None:
        """See Builder."""
        listed = subprocess.run(
            [self.CLIENT, "images", "-q", "--no-trunc"], env=self._variables, capture_output=True, text=True, check=True
        )
        for image in set(listed.stdout.split()):
            self._call(self.CLIENT, "rmi", "--force", image)
        self._call(self.CLIENT, "builder", "prune", "--all", "--force")
        for name, layout in layouts.items():
            words = ["skopeo", "--policy", self._policy, "copy", "--quiet", "--dest-daemon-host", self._socket]
            self._call(*words, f"oci:{layout}", f"docker-daemon:{name}" + ("" if ":" in name else ":latest"))

    def build(self, job: Job) -> meter.Sample:
        """See Builder."""
        done = self._call(self.CLIENT, "build", "--progress=plain", "--network=host", "--tag=made", job.context)
        if job.out:
            _remove(job.out)
            words = ["skopeo", "--policy", self._policy, "copy", "--quiet", "--src-daemon-host", self._socket]
            done = done.exported(self._call(*words, "docker-daemon:made:latest", f"oci-archive:{job.out}"))
        return done

    def version(self) -> str:
        """See Builder."""
        words = [self.CLIENT, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(words, env=self._variables, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        """See Builder."""
        meter.stop(self._pid)

    def _call(self, *words: str) -> meter.Sample:
        return meter.run([words], self._variables, self._log)


class BuildKit:
    """buildctl beside a buildkitd of our own where there is one to start, else beside one that runs (BUILDKIT_HOST)."""

    name = "buildkit"

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._log = os.path.join(folder, "log")
        os.makedirs(folder)
        self._layouts: dict[str, str] = {}
        self._variables = {**plain_environment(), "LC_ALL": "C.UTF-8"}
        self._pid = 0
        if self.can_start():
            host = f"unix://{folder}/socket"
            self._variables["BUILDKIT_HOST"] = host
            words = ["buildkitd", "--addr", host, "--root", f"{folder}/root", "--oci-worker-net=host"]
            self._pid = _daemon(words, self._variables, f"{folder}/daemon.log", ["buildctl", "debug", "workers"])
        else:
            self._variables["BUILDKIT_HOST"] = os.environ.get("BUILDKIT_HOST", "unix:///run/buildkit/buildkitd.sock")

    @staticmethod
    def can_start() -> bool:
        """Whether a daemon of our own can be started."""
        return os.geteuid() == 0 and shutil.which("buildkitd") is not None

    def forget(self, layouts: Mapping[str, str]) -> None:
        """See Builder. Bases come from their layouts, and are unpacked by a build that needs their files."""
        self._call("buildctl", "prune", "--all")
        self._layouts = dict(layouts)
        context = os.path.join(self._folder, "unpack")
        os.makedirs(context, exist_ok=True)
        for name in layouts:
            with open(os.path.join(context, "Dockerfile"), "w", encoding="utf-8") as file:
                file.write(f"FROM {name}\nRUN true\n")
            self.build(Job(context))

    def build(self, job: Job) -> meter.Sample:
        """See Builder."""
        words = ["buildctl", "build", "--progress=plain", "--frontend=dockerfile.v0"]
        words += [f"--local=context={job.context}", f"--local=dockerfile={job.context}"]
        for number, (name, layout) in enumerate(self._layouts.items()):
            with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
                digest = json.load(file)["manifests"][0]["digest"]
            words += [f"--oci-layout=base{number}={layout}", f"--opt=context:{name}=oci-layout://base{number}@{digest}"]
        words += [f"--output=type=oci,dest={job.out}"] if job.out else ["--output=type=image,name=made"]
        return self._call(*words)

    def version(self) -> str:
        """See Builder."""
        return subprocess.run(["buildctl", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]

    def close(self) -> None:
        """See Builder. A daemon that ran before goes on."""
        if self._pid:
            meter.stop(self._pid)

    def _call(self, *words: str) -> meter.Sample:
        return meter.run([words], self._variables, self._log)


def _daemon(command: Sequence[str], variables: Mapping[str, str], log: str, question: Sequence[str]) -> int:
    """Start a daemon and wait until the question is answered; its pid. Raises CommandError."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    pid = os.posix_spawnp(command[0], list(command), dict(variables), file_actions=actions, setpgroup=0)
    os.close(out)
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        with contextlib.suppress(meter.CommandError):
            meter.run([question], variables, f"{log}.question")
            return pid
        time.sleep(0.2)  # a daemon of somebody else's: it can only be asked
    meter.stop(pid)
    raise meter.CommandError(f"{command[0]} did not start: {meter.tail(log)}")


def found(wanted: Sequence[str]) -> list[type[Buildah | Docker | BuildKit]]:
    """The peers on this machine; only those of `wanted`, if any are."""
    here = {
        Docker: os.geteuid() == 0 and os.path.exists(Docker.CLIENT) and os.path.exists(Docker.DAEMON),
        BuildKit: shutil.which("buildctl") and (BuildKit.can_start() or _runs(["buildctl", "debug", "workers"])),
        Buildah: shutil.which("buildah") and shutil.which("skopeo"),
    }
    return [kind for kind, is_here in here.items() if is_here and (not wanted or kind.name in wanted)]


def _runs(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
