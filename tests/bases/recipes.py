"""What each base is made of: one function a recipe, from packages to layers and a config."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Callable

from bases import machine
from bases.layout import EPOCH, Image, Layer, entries_of, first_layer

SUITE = "bookworm"
NODE = "14.4.0"
YARN = "1.22.22"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
mail:x:8:
audio:x:29:operator
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
"""

# Debian's files that differ from one assembly to the next, or that belong to the machine on which it was made.
_DROPPED = ("dev/", "etc/hostname", "etc/resolv.conf", "etc/machine-id", "var/log/", "var/cache/", "run/", "tmp/")
_UNWANTED = ("doc", "man", "info", "locale", "lintian", "linda")


def labels(name: str, made_of: str) -> dict[str, str]:
    """Every base says of itself that it is not the public image of its name."""
    return {
        "org.opencontainers.image.title": f"stand-in for {name}",
        "org.opencontainers.image.description": f"Made for tests of {made_of}: not the public image.",
        "jettison.stand-in": "true",
    }


def busybox(image: Image) -> dict[str, object]:
    """One static program, a link for each of its applets, and a few users."""
    layer = Layer("busybox-static, with a link for each applet")
    _busybox_tree(layer)
    for path in ("dev", "etc", "home", "usr", "usr/bin", "usr/sbin", "var", "var/spool", "var/spool/mail", "var/www"):
        layer.directory(path)
    image.layer(layer)
    return {"Env": [f"PATH={PATH}"], "Cmd": ["sh"], "Labels": labels("busybox", "Debian's busybox-static")}


def debian(image: Image) -> dict[str, object]:
    """The minimal Debian, without documentation."""
    image.layer(_mmdebstrap())
    return {
        "Env": [f"PATH={PATH}"],
        "Cmd": ["bash"],
        "Labels": labels("debian:bookworm-slim", "Debian's packages by mmdebstrap"),
    }


def python(image: Image) -> dict[str, object]:
    """Debian with its own Python, as `python` and `pip`, free to install where it likes."""
    layer = _mmdebstrap("python3", "python3-pip", "python3-venv", "python3-wheel")
    for path in [path for path in layer.entries if path.endswith("/EXTERNALLY-MANAGED")]:
        del layer.entries[path]
    layer.symlink("usr/local/bin/python", "/usr/bin/python3")
    settings = "".join(f"{key} = {value}\n" for key, value in machine.pip_settings().items())
    layer.file("etc/pip.conf", f"[global]\ndisable-pip-version-check = true\nroot-user-action = ignore\n{settings}")
    image.layer(layer)
    variables = [f"PATH={PATH}", "LANG=C.UTF-8", f"PIP_CERT={machine.BUNDLE}", f"SSL_CERT_FILE={machine.BUNDLE}"]
    return {"Env": variables, "Cmd": ["python3"], "Labels": labels("python:3-slim", "Debian's python3 packages")}


def node(image: Image, parent: str) -> dict[str, object]:
    """The Debian base with Node, yarn and the user node."""
    layer = Layer(f"node {NODE} and yarn {YARN} from the npm registry, user node")
    with first_layer(parent) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        below = {info.name: data for info, data in entries_of(archive, ("etc/passwd", "etc/group", "etc/shadow"))}
    base = Layer("the minimal Debian, without documentation")
    with first_layer(parent) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for info, data in entries_of(archive):
            base.add(info, data)
    image.layer(base)
    layer.file("etc/passwd", (below["etc/passwd"] or b"") + b"node:x:1000:1000::/home/node:/bin/bash\n")
    layer.file("etc/group", (below["etc/group"] or b"") + b"node:x:1000:\n")
    _node_tree(layer)
    image.layer(layer)
    return _node_config("node:14.4.0", "Debian's packages, and node and yarn from the npm registry")


def node_alpine(image: Image, parent: str) -> dict[str, object]:
    """Node on little more than the C libraries that it needs, with busybox as the shell."""
    base = Layer("busybox-static as the shell, and the C libraries that node needs")
    _busybox_tree(base)
    with first_layer(parent) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        libraries = {info.name: (info, data) for info, data in entries_of(archive) if _is_library(info.name)}
    for path, (info, data) in libraries.items():
        base.directory(os.path.dirname(path))
        base.add(info, data)
    base.file("etc/passwd", _PASSWD + "node:x:1000:1000:Linux User,,,:/home/node:/bin/sh\n")
    base.file("etc/group", _GROUP + "node:x:1000:node\n")
    base.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    image.layer(base)
    layer = Layer(f"node {NODE} and yarn {YARN} from the npm registry, user node")
    _node_tree(layer, headers=False)
    image.layer(layer)
    return _node_config(
        "node:14.4.0-alpine", "busybox-static, Debian's C libraries, and node and yarn from the npm registry"
    )


def _busybox_tree(layer: Layer) -> None:
    path = machine.program("busybox", "busybox-static")
    with open(path, "rb") as file:
        program = file.read()
    if _has_interpreter(program):
        raise machine.Missing(f"{path} is not static: apt-get install -y busybox-static")
    applets = machine.run([path, "--list"]).split()
    layer.directory("bin")
    layer.file("bin/busybox", program, 0o755)
    for applet in applets:
        if applet != "busybox":
            layer.symlink(f"bin/{applet}", "busybox")
    layer.directory("root", 0o700)
    layer.directory("tmp", 0o1777)
    layer.directory("var/tmp", 0o1777)
    layer.file("etc/passwd", _PASSWD)
    layer.file("etc/group", _GROUP)
    layer.file(machine.BUNDLE, machine.certificates())
    for folder in ("etc/ssl", "etc/ssl/certs"):
        layer.directory(folder)


def _has_interpreter(program: bytes) -> bool:
    """Whether a 64-bit little-endian ELF program wants a dynamic loader: one of its segments is of type PT_INTERP."""
    table, size, count = struct.unpack_from("<Q", program, 32)[0], *struct.unpack_from("<HH", program, 54)
    return any(struct.unpack_from("<I", program, table + size * number)[0] == 3 for number in range(count))


def _mmdebstrap(*packages: str) -> Layer:
    """The tree that mmdebstrap makes from this machine's own apt sources, as one layer."""
    command = [machine.program("mmdebstrap", "mmdebstrap"), "--variant=minbase", "--quiet", "--format=tar"]
    if os.getuid() == 0:
        command.append("--mode=root")
    elif machine.has_subordinate_ids():
        machine.program("newuidmap", "uidmap")
        command.append("--mode=unshare")
    else:
        raise machine.Missing(
            "an ordinary user assembles the Debian bases with the ids of a range of its own, and this one has none: "
            "as root, `apt-get install -y uidmap; usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`"
        )
    command += [f"--aptopt={option}" for option in ('Acquire::Languages "none"', *machine.apt_options())]
    command += [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _UNWANTED]
    command += [f"--include={','.join(packages)}"] if packages else []
    layer = Layer(f"mmdebstrap --variant=minbase {SUITE} {' '.join(packages)}".strip())
    with tempfile.TemporaryDirectory(prefix="jettison-base-") as folder:
        os.chmod(folder, 0o755)
        made = os.path.join(folder, "tree.tar")
        with open(made, "wb") as out:
            _assemble([*command, SUITE, "-", *machine.apt_sources(SUITE)], out.fileno())
        with tarfile.open(made) as archive:
            for info, data in entries_of(archive):
                path = info.name.strip("/").removeprefix("./")
                if path not in ("", ".") and not _is_dropped(path):
                    layer.add(info, data)
    layer.directory("tmp", 0o1777)
    layer.directory("run")
    layer.file(machine.BUNDLE, machine.certificates())
    # Debian's ca-certificates writes the bundle anew when a build installs it: this is where it takes local ones from.
    layer.file("usr/local/share/ca-certificates/machine.crt", machine.certificates())
    return layer


def _assemble(command: list[str], out: int) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, env=environment, cwd="/", check=False
    )
    if done.returncode:
        tail = "\n  ".join(done.stderr.decode(errors="replace").strip().splitlines()[-12:])
        raise machine.Missing(f"mmdebstrap ended with {done.returncode}:\n  {tail}")


def _is_dropped(path: str) -> bool:
    if "/__pycache__" in path or (path.startswith("var/") and path.endswith(("-old", "/lock"))):
        return True
    return any(path.startswith(prefix) and path != prefix.rstrip("/") and not _is_kept(path) for prefix in _DROPPED)


def _is_kept(path: str) -> bool:
    return path in (
        "var/log/apt",
        "var/cache/apt",
        "var/cache/apt/archives",
        "var/cache/apt/archives/partial",
        "var/cache/debconf",
    )


_LIBRARIES = (
    "libc.",
    "libm.",
    "libdl.",
    "libpthread.",
    "librt.",
    "libstdc++.",
    "libgcc_s.",
    "libnss_",
    "libresolv.",
    "ld-linux",
)


def _is_library(path: str) -> bool:
    if path in ("lib", "lib64", "usr/lib64"):
        return True
    return (
        path.startswith(("usr/lib/", "usr/lib64/")) and os.path.basename(path).startswith(_LIBRARIES) and ".so" in path
    )


def _node_tree(layer: Layer, *, headers: bool = True) -> None:
    processor = {"amd64": "x64", "arm64": "arm64"}[machine.architecture()]
    for name, info, data in _npm_package(f"node-linux-{processor}@{NODE}"):
        if name == "bin/node" or (headers and name.startswith("include/")):
            _copy(layer, f"usr/local/{name}", info, data)
    for name, info, data in _npm_package(f"yarn@{YARN}"):
        if name.startswith(("bin/", "lib/")) or name == "package.json":
            _copy(layer, f"opt/yarn-v{YARN}/{name}", info, data)
    for program in ("yarn", "yarnpkg"):
        layer.symlink(f"usr/local/bin/{program}", f"/opt/yarn-v{YARN}/bin/{program}")
    layer.symlink("usr/local/bin/nodejs", "node")
    layer.file("usr/local/bin/docker-entrypoint.sh", _ENTRYPOINT, 0o755)
    settings = machine.npm_settings()
    quoted = {"registry": "registry", "proxy": "proxy", "https-proxy": "https-proxy"}
    layer.file("etc/yarnrc", "".join(f'{key} "{settings[key]}"\n' for key in quoted if key in settings))
    layer.file("usr/local/etc/npmrc", f"cafile={machine.BUNDLE}\n" + "".join(f"{k}={v}\n" for k, v in settings.items()))
    layer.directory("home")
    layer.directory("home/node", 0o755, 1000)


# Options, and files that no program of that name hides, are given to node, as the public image does.
_ENTRYPOINT = """\
#!/bin/sh
case "${1-}" in
  -* | "") exec node "$@" ;;
esac
if command -v "$1" >/dev/null 2>&1 && ! { [ -f "$1" ] && [ ! -x "$1" ]; }; then
  exec "$@"
fi
exec node "$@"
"""


def _node_config(name: str, made_of: str) -> dict[str, object]:
    variables = [
        f"PATH={PATH}",
        f"NODE_VERSION={NODE}",
        f"YARN_VERSION={YARN}",
        f"NODE_EXTRA_CA_CERTS={machine.BUNDLE}",
    ]
    return {"Env": variables, "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["node"], "Labels": labels(name, made_of)}


def _npm_package(name: str) -> list[tuple[str, tarfile.TarInfo, bytes | None]]:
    """The files of a package of the npm registry, fetched by this machine's own npm."""
    with tempfile.TemporaryDirectory(prefix="jettison-npm-") as folder:
        machine.run([machine.program("npm", "npm"), "pack", "--silent", name], cwd=folder)
        path = os.path.join(folder, os.listdir(folder)[0])
        with open(path, "rb") as file:
            data = file.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(info.name.partition("/")[2], info, content) for info, content in entries_of(archive) if info.isreg()]


def _copy(layer: Layer, path: str, info: tarfile.TarInfo, data: bytes | None) -> None:
    folder = os.path.dirname(path)
    if folder not in layer.entries:
        layer.directory(folder)
    layer.file(path, data or b"", 0o755 if info.mode & 0o100 else 0o644)


# Each recipe with the base whose first layer it starts from, if there is one.
RECIPES: dict[str, tuple[Callable[..., dict[str, object]], str | None]] = {
    "busybox": (busybox, None),
    "debian:bookworm-slim": (debian, None),
    "node:14.4.0": (node, "debian:bookworm-slim"),
    "node:14.4.0-alpine": (node_alpine, "debian:bookworm-slim"),
    "python:3-slim": (python, None),
}
NAMES = tuple(RECIPES)
