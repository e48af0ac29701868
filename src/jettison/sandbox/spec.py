"""What the keeper is asked: frozen requests and replies, one pair a kind of work. Plain data, framed as msgpack.

Paths here are absolute paths of this machine; they are made by the store just before a request is sent, and stand in no
key and no record.
"""

from __future__ import annotations

import msgspec

from jettison.planning.ops import AnyOp, RunFile
from jettison.record.model import KeyPart
from jettison.sandbox import readable
from jettison.sandbox.tier import Tier, TierReport

MAX_OUTPUT_BYTES = 16 * 1024  # of one piece of a step's output

Tree = readable.Tree
Directory = readable.Directory
Archive = readable.Archive
Readable = readable.Readable


class Request(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The root of all requests."""


class BoundTree(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A bind mount of `source` (absolute, in the readable's root) at `target`. Writes go nowhere."""

    target: str
    of: Readable
    source: str = "/"
    readonly: bool = True


class BoundCache(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A cache directory of this machine at `target`: locked by the driver; made, with its owner and mode, here."""

    target: str
    directory: str
    readonly: bool = False
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    seed: Readable | None = None
    seed_source: str = "/"


class BoundTmpfs(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    target: str
    size_bytes: int = 0


class BoundSecret(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Bytes shown as a file on a tmpfs; they touch no disk."""

    target: str
    data: bytes
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


class BoundSocket(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A unix socket of this machine (an ssh agent) at `target`."""

    target: str
    path: str
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


AnyBound = BoundTree | BoundCache | BoundTmpfs | BoundSecret | BoundSocket


class Pressing(msgspec.Struct, frozen=True, kw_only=True):
    """How a layer is written. `blobs`: the directory that gets the blob, named by hex digest; "" only hashes (diff_id).

    `compression`: gzip, zstd or uncompressed. `clamp_epoch` (seconds) limits every mtime (rewrite-timestamp).
    """

    blobs: str = ""
    compression: str = "gzip"
    clamp_epoch: int | None = None


class RunRequest(Request, frozen=True, kw_only=True):
    """Run a process on `tree`; commit what it changed as a snapshot at `out` ("": throw it away, as in `jettison run`).

    `scratch` is an empty directory on the store's filesystem. `user` is USER's text, looked up in the tree. `env` lacks
    HOME unless the image sets it: it is then taken from passwd, else `/`. `stdin_fd`: the request may bring descriptors
    for the process's standard streams; without, stdin is empty and output comes back as Output frames, line by line.
    `pressing`: the snapshot is packed as a layer meanwhile.
    """

    tree: Tree
    out: str
    scratch: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str = "/"
    user: str = ""
    mounts: tuple[AnyBound, ...] = ()
    files: tuple[RunFile, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    hostname: str = "buildkitsandbox"
    shm_size_bytes: int = 64 * 1024 * 1024
    extra_hosts: tuple[str, ...] = ()
    interactive: bool = False
    pressing: Pressing | None = None


class CopyRequest(Request, frozen=True, kw_only=True):
    """Do a CopyOp, MkdirOp (no inputs) onto `tree` and commit the result at `out`.

    `inputs` are the step's inputs from index 1 on, in order (index 0 is `tree`). `epoch` (seconds) replaces the time
    of what the step itself makes (parents, WORKDIR), None is now. `earlier` are snapshots that copies like this one
    left, the newest first: what was not touched since is linked from there. None: this copy will have no like. `tell`:
    of that input is told what was taken (`Copied.read`; of a Directory also `Took` frames), if some of that may have
    changed since `since_ns` (0: in any case). `pressing`: the snapshot is packed as a layer meanwhile.
    """

    op: AnyOp
    tree: Tree
    inputs: tuple[Readable, ...]
    out: str
    epoch: int | None = None
    earlier: tuple[str, ...] | None = None
    tell: int | None = None
    since_ns: int = 0
    pressing: Pressing | None = None


class DigestRequest(Request, frozen=True, kw_only=True):
    """The content digest of just what `op` reads of its input number `input`: mtime left out (design: two keys)."""

    op: AnyOp
    input: int
    of: Readable


class SnapshotDigestRequest(Request, frozen=True, kw_only=True):
    """The content digest of a whole snapshot: every row, mtime left out. `proof`: of the bytes that lie there now,
    whatever is remembered of them.
    """

    snapshot: str
    proof: bool = False


class PackRequest(Request, frozen=True, kw_only=True):
    """Several snapshots as layers, packed one after the other by one process. Answered by PackedAll, in that order."""

    snapshots: tuple[str, ...]
    pressing: Pressing


class UnpackRequest(Request, frozen=True, kw_only=True):
    """A layer blob as a snapshot at `out`. `files` False writes the manifest alone (from the tar headers).

    `blob` "": it is still being written, and the descriptors of a `layer.growing.Growing` come along. `below`: the
    snapshots beneath, bottom first, whose directories keep their owner and mode where the layer takes
    them for granted; without, those are 0755 and 0:0. They need not be there yet: the last descriptor gives a byte when
    they are, and ends without one when they will not be. `sync`: it is on the disk when the reply comes.
    """

    blob: str = ""
    media_type: str = ""
    diff_id: str
    out: str
    files: bool = True
    below: tuple[str, ...] = ()
    sync: bool = False


class FaithRequest(Request, frozen=True, kw_only=True):
    """Would a snapshot that was made here come back the same from its layer? Answered by Faith."""

    snapshot: str


class PackDirectoryRequest(Request, frozen=True, kw_only=True):
    """A cache mount's directory, itself included, as a blob in the directory `blobs`. Answered by Packed."""

    directory: str
    blobs: str
    compression: str = "gzip"


class RestoreDirectoryRequest(Request, frozen=True, kw_only=True):
    """Make `directory`, if it is not there, of a blob of PackDirectoryRequest; what is not ready lies at `aside`."""

    blob: str
    directory: str
    aside: str


class ExportRequest(Request, frozen=True, kw_only=True):
    """The flattened tree into directory or tar `dest` (`form`: dir or tar). `epoch` (seconds) becomes every mtime.

    `named`: several trees in one tar instead, each below a directory of its name.
    """

    tree: Tree
    dest: str
    form: str
    epoch: int | None = None
    named: tuple[tuple[str, Tree], ...] = ()


class RemoveRequest(Request, frozen=True, kw_only=True):
    """Remove paths of the store, whatever owns what is below them."""

    paths: tuple[str, ...]


class SizeRequest(Request, frozen=True, kw_only=True):
    """The bytes on disk (blocks; of a hard-linked file the link's share) at and below each path."""

    paths: tuple[str, ...]


class TierRequest(Request, frozen=True, kw_only=True):
    """Which tier does this keeper work in? Answered by Placed, or by Failed where none works."""


class ExamineRequest(Request, frozen=True, kw_only=True):
    """Try every tier with scratch directories below `store_root`: only a keeper started unplaced can say."""

    store_root: str


AnyRequest = (
    RunRequest
    | CopyRequest
    | DigestRequest
    | SnapshotDigestRequest
    | PackRequest
    | UnpackRequest
    | FaithRequest
    | PackDirectoryRequest
    | RestoreDirectoryRequest
    | ExportRequest
    | RemoveRequest
    | SizeRequest
    | TierRequest
    | ExamineRequest
)

# What one process does after another: small, often asked for, and done with what every child of the keeper has.
USUAL = (RunRequest, CopyRequest, DigestRequest, SnapshotDigestRequest, RemoveRequest)


class Reply(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The root of all replies. A request is answered by any number of frames (`AnyFrame`), then one other reply."""


class Output(Reply, frozen=True, kw_only=True):
    """A piece of a step's output: `stream` 1 is stdout, 2 stderr; `data` ends at a line end or at 16 KiB."""

    stream: int
    data: bytes


class Note(Reply, frozen=True, kw_only=True):
    """A warning for people."""

    text: str


class TookFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file of a context: its path there, its stamp, and a digest that covers attributes (`tree.content`)."""

    path: str
    stamp: tuple[int, int, int, int, int]
    digest: str


class Took(Reply, frozen=True, kw_only=True):
    """Some of the files that a copy took, and which have another stamp when they change from now on."""

    files: tuple[TookFile, ...]


class Read(msgspec.Struct, frozen=True, array_like=True):
    """What a copy took: its content digest, and (of a context) the parts of that, as `tree.content.input_digest` has it
    of what stood there just then.
    """

    digest: str
    parts: tuple[KeyPart, ...]


class Packed(Reply, frozen=True, kw_only=True):
    """`digest` and `size_bytes` are of the blob ("" and 0 when only hashed); `diff_id` and `tar_bytes` of the tar."""

    diff_id: str
    tar_bytes: int
    digest: str = ""
    size_bytes: int = 0


class Ran(Reply, frozen=True, kw_only=True):
    """The process ended: `exit_code` as a shell gives it (128 + signal). `changed` False: the snapshot has no rows;
    else `digest` is that of its content, as SnapshotDigestRequest gives it. `packed`: it as a layer, where that was
    asked for and came of it; None where it is still to be packed.
    """

    exit_code: int
    changed: bool = True
    digest: str = ""
    packed: Packed | None = None


class Copied(Reply, frozen=True, kw_only=True):
    """`changed` False: nothing was created or replaced, and `out` does not exist. `digest` and `packed` as in Ran.
    `read` is of the input that `CopyRequest.tell` names.
    """

    changed: bool
    digest: str = ""
    files: int = 0
    size_bytes: int = 0
    read: Read | None = None
    packed: Packed | None = None


class Digested(Reply, frozen=True, kw_only=True):
    digest: str


class PackedAll(Reply, frozen=True, kw_only=True):
    """One for each that was asked for, in order."""

    packed: tuple[Packed, ...]


class Unpacked(Reply, frozen=True, kw_only=True):
    rows: int


class Faith(Reply, frozen=True, kw_only=True):
    """Why it would not come back the same, "" when it does."""

    problem: str


class Done(Reply, frozen=True, kw_only=True):
    """`sizes` answers SizeRequest."""

    sizes: tuple[int, ...] = ()


class Placed(Reply, frozen=True, kw_only=True):
    """The tier that the keeper works in. Said once unasked on the control socket, too (or Failed, where none works)."""

    tier: Tier


class Examined(Reply, frozen=True, kw_only=True):
    """What trying each tier gave, in the order of preference."""

    reports: tuple[TierReport, ...]


class Free(Reply, frozen=True, kw_only=True):
    """After the last reply, where it comes: who answered has ended all that it started, and takes another request at
    the same socket.
    """


class Failed(Reply, frozen=True, kw_only=True):
    """What went wrong: `kind` names a class of jettison.base.errors (InputError, HostError, ...), the rest is its."""

    kind: str
    message: str
    hint: str | None = None
    subject: str = ""


AnyFrame = Output | Note | Took
AnyReply = (
    AnyFrame
    | Ran
    | Copied
    | Digested
    | Packed
    | PackedAll
    | Unpacked
    | Faith
    | Done
    | Placed
    | Examined
    | Free
    | Failed
)
