"""A case as its file has it: one behaviour of a paragraph of the reference, its builds, and what must come out of them.

A case is `cases/<paragraph>/<slug>.toml`; unknown keys are refused. In texts and flags `@NAME@` stands for a place that
is known only when the case runs: @context@, @case@ (the folder of the case), @http@ (the server's address for it, on
@host@), @busybox@ (the base's layout), @busybox-digest@, @long@ (70,000 letters), the names of [images] and [dirs], and
@GIT:N@ for commit N of [git.GIT].

A node is one line, `TYPE [MODE] [UID:GID] [@MTIME] [xattr.NAME=VALUE] [MAJOR,MINOR] [= TEXT | -> TARGET | == PATH]`;
TYPE is file, dir, symlink, hardlink, fifo, char or block. What a line leaves out is not compared.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

import msgspec

CASES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "cases")


EXPECTATIONS = (
    *("error", "files", "absent", "only", "layers", "config", "no_config", "env", "no_env", "image", "history"),
    *("history_layers", "history_has", "output", "no_output", "steps", "cached", "ran", "requests"),
)


class Error(msgspec.Struct, forbid_unknown_fields=True):
    """How the build must fail: all of `says` in what is printed, the exit code, the Dockerfile's line."""

    says: list[str]
    code: int | None = None
    line: int | None = None


class Page(msgspec.Struct, forbid_unknown_fields=True):
    """What the server answers for a path. `archive` names one of the context's archives as the body."""

    text: str = ""
    archive: str = ""
    status: int = 200
    headers: dict[str, str] = {}
    wants: str = ""


class Build(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One build of a case, and what is expected of it.

    `dockerfile` is written to `dockerfile_at` in the context; "" leaves it out. `setup` are lines for what a text file
    cannot hold (layout.ACTIONS). `path` is the command line's PATH, `http` what the server has
    from now on.

    `only`: the exact paths that differ from the base. `history`: the entries beyond the base's, `layer: TEXT` or
    `empty: TEXT`; `history_layers`: how many entries in all are no empty ones (true: as many as layers); `history_has`:
    what some value of it must be. `output`: what the log must contain. `steps`: beginnings of steps as they are shown.
    `cached`, `ran`: beginnings of steps (without `[1/2] `) that came from the cache, or did not.
    """

    dockerfile: str = ""
    dockerfile_at: str = "Dockerfile"
    context: dict[str, str] = {}
    archives: dict[str, list[str]] = {}
    setup: list[str] = []
    flags: list[str] = []
    variables: dict[str, str] = {}
    stdin: str | None = None
    stdin_file: str | None = None
    path: str = "@context@"
    http: dict[str, Page] = {}

    error: Error | None = None
    files: dict[str, str] = {}
    absent: list[str] = []
    only: list[str] | None = None
    layers: int | None = None
    config: dict[str, object] = {}
    no_config: list[str] = []
    env: dict[str, str] = {}
    no_env: list[str] = []
    image: dict[str, object] = {}
    history: list[str] | None = None
    history_layers: int | bool = False
    history_has: list[str] = []
    output: list[str] = []
    no_output: list[str] = []
    steps: list[str] = []
    cached: list[str] = []
    ran: list[str] = []
    requests: list[str] | None = None


class Image(msgspec.Struct, forbid_unknown_fields=True):
    """An image made by hand, there as a named context: layers of nodes (`PATH = NODE`), over another base if named.

    `top` are keys beside `config` in the image's config. `also` lists further architectures, each an entry of the index
    whose first layer has a file /arch that names it.
    """

    layers: list[dict[str, str]] = []
    config: dict[str, object] = {}
    top: dict[str, object] = {}
    over: str = ""
    also: list[str] = []
    context: bool = True


class Commit(msgspec.Struct, forbid_unknown_fields=True):
    """One commit of a repository on branch main (or `branch`): files written, and what names it."""

    files: dict[str, str] = {}
    setup: list[str] = []
    tag: str = ""
    branch: str = ""
    submodules: dict[str, str] = {}


class Differs(msgspec.Struct, forbid_unknown_fields=True):
    """Where buildah's image is another one than ours, and why, by a paragraph of the reference.

    Laid over what buildah made it is ours: keys of the config, and nodes of the tree of which a line changes just what
    it says. "" takes a path or a key away. Where buildah fails there is only the reason.
    """

    reason: str
    config: dict[str, object] = {}
    tree: dict[str, str] = {}


class Case(Build, kw_only=True):
    """A whole case. `says` is the behaviour in one sentence; `buildah`: the language of buildah 1.28 has it too.

    What buildah made of those is written down beside the case, NAME.json, and compared with what we make.

    `agent` is the name, in the folder of the case, of a socket that listens as an ssh agent's would.
    """

    says: str
    buildah: bool = False
    differs: Differs | None = None
    root: bool = False
    images: dict[str, Image] = {}
    dirs: dict[str, dict[str, str]] = {}
    git: dict[str, list[Commit]] = {}
    agent: str = ""
    then: list[Build] = []
    name: str = ""

    @property
    def paragraph(self) -> str:
        """As in `1.6`."""
        return self.name.partition("/")[0]

    def builds(self) -> Iterator[Build]:
        """The case's own build, then those that follow in the same context; what they leave out stays as it was."""
        yield self
        before: Build = self
        for build in self.then:
            kept = {key: getattr(build, key) or getattr(before, key) for key in ("dockerfile", "dockerfile_at")}
            before = msgspec.structs.replace(build, **kept)
            yield before


def names() -> list[str]:
    """All cases as `1.6/slug`, by paragraph and name."""
    found = []
    for paragraph in sorted(os.listdir(CASES), key=lambda name: [int(part) for part in name.split(".")]):
        entries = sorted(os.listdir(os.path.join(CASES, paragraph)))
        found += [f"{paragraph}/{entry.removesuffix('.toml')}" for entry in entries if entry.endswith(".toml")]
    return found


@functools.cache
def load(name: str) -> Case:
    """The case of that name, read once. Raises msgspec.ValidationError for a key or a type that no case has."""
    with open(os.path.join(CASES, f"{name}.toml"), "rb") as file:
        found = msgspec.toml.decode(file.read(), type=Case)
    found.name = name
    return found
