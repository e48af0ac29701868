"""What a step does. Everything in an op enters its key, except what is in `RunOnly`.

An op names what it reads by step id (`Step.inputs`), never by live object or path of this machine. Names of users and
groups stay text: they are looked up in the tree when the step runs.
"""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

import msgspec

CONTEXT = "context"  # the name of the main build context


class Op(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The root of all ops."""


class ScratchOp(Op, frozen=True, kw_only=True):
    """The empty tree."""


class ImageOp(Op, frozen=True, kw_only=True):
    """An image's layers, lazily. `digest` is the manifest's (or, of an image of the local store, the config's)."""

    ref: str
    platform: str
    digest: str


class LocalOp(Op, frozen=True, kw_only=True):
    """Files of this machine: the main context (`context`) or a named one. Read through its ignore file."""

    name: str


class HttpOp(Op, frozen=True, kw_only=True):
    """One file from an HTTP(S) server: `filename` with mode 0600, mtime from Last-Modified. `checksum` or None."""

    url: str
    filename: str
    checksum: str | None = None


class GitOp(Op, frozen=True, kw_only=True):
    """A checkout. `ref` None is the default branch; `checksum` a commit (prefix) that it must be.

    `mtime` is `checkout` (files have the time of their fetch) or `commit` (the commit's).
    """

    remote: str
    ref: str | None = None
    subdir: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    checksum: str | None = None
    mtime: str = "checkout"


class InlineFile(msgspec.Struct, frozen=True):
    """A file whose bytes stand in the Dockerfile (a heredoc): mode 0644, 0:0, mtime 0."""

    name: str
    data: str


class CopySource(msgspec.Struct, frozen=True):
    """What one COPY or ADD takes from one input.

    `input` indexes `Step.inputs`; None with `inline` for a heredoc. `path` is absolute in that input's root, cleaned,
    wildcards kept when `wildcard`. With `parents`, the part before the pivot is in `pivot` ("" for none): what is
    below it is kept under the destination. `unpack`: True always, False never, None by content (a local ADD).
    `required` False: a missing path is a success (a wildcard).
    """

    input: int | None
    path: str
    wildcard: bool = False
    pivot: str = ""
    unpack: bool | None = False
    inline: InlineFile | None = None
    span_line: int = 0


class CopyOp(Op, frozen=True, kw_only=True):
    """COPY and ADD. `inputs[0]` is the tree written to. `dest` is absolute; `dest_is_dir`: it ended in `/` or `/.`."""

    sources: tuple[CopySource, ...]
    dest: str
    dest_is_dir: bool
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()
    add: bool = False

    @property
    def stands_alone(self) -> bool:
        """Whether nothing of the tree that it writes to is read: --link, which --chmod turns off (reference §1.6)."""
        return self.link and not self.chmod


class MkdirOp(Op, frozen=True, kw_only=True):
    """WORKDIR: `path` and its missing parents, 0755, owned by `user` (text of USER, "" for 0:0).

    `epoch` is the text of SOURCE_DATE_EPOCH, "" without it: the time that the directories get (reference §1.9).
    """

    path: str
    user: str = ""
    epoch: str = ""


class Mount(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A `--mount` of a RUN. `target` is absolute and clean."""

    target: str


class BindMount(Mount, frozen=True, kw_only=True):
    """`input` indexes `Step.inputs`; writes are discarded when not `readonly`."""

    input: int
    source: str = "/"
    readonly: bool = True


class CacheMount(Mount, frozen=True, kw_only=True):
    """`id` names the cache (with its seed); `input` and `source` say what a new one starts with."""

    id: str
    sharing: str = "shared"  # shared | private | locked
    readonly: bool = False
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    input: int | None = None
    source: str = "/"


class TmpfsMount(Mount, frozen=True, kw_only=True):
    size_bytes: int = 0  # 0: no limit of its own


class SecretMount(Mount, frozen=True, kw_only=True):
    """`target` "" mounts no file; `env` names a variable that gets the value. `stamp` stands for the value where a
    change of it is to make the step run again, and is "" elsewhere: never the value, nor what it could be guessed from.
    """

    id: str
    env: str | None = None
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0
    stamp: str = ""


class SshMount(Mount, frozen=True, kw_only=True):
    id: str = "default"
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


class RunFile(msgspec.Struct, frozen=True):
    """A heredoc script with a shebang: put read-only at `path` for the step, mode 0755."""

    path: str
    data: str


class RunOnly(msgspec.Struct, frozen=True):
    """What changes how a RUN runs and never what it is: stripped before hashing.

    `emptied` are the ids of the cache mounts that begin empty, once a build.
    """

    proxy_env: tuple[tuple[str, str], ...] = ()
    display_args: tuple[str, ...] = ()
    ignore_cache: bool = False
    emptied: tuple[str, ...] = ()


class RunOp(Op, frozen=True, kw_only=True):
    """A process in the tree of `inputs[0]`. `env` is in order; `user` the text of USER ("" is root)."""

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: str = ""
    mounts: tuple[BindMount | CacheMount | TmpfsMount | SecretMount | SshMount, ...] = ()
    files: tuple[RunFile, ...] = ()
    network: str = "default"  # default | none | host
    security: str = "sandbox"  # sandbox | insecure
    hostname: str = "buildkitsandbox"
    shm_size_bytes: int = 64 * 1024 * 1024
    extra_hosts: tuple[str, ...] = ()
    run_only: RunOnly = RunOnly()


AnyOp = ScratchOp | ImageOp | LocalOp | HttpOp | GitOp | CopyOp | MkdirOp | RunOp
AnyMount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount
