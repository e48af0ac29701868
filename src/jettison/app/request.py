"""What a caller asks of a build, and what it gets back: frozen values, made by the command line or by anyone."""

from __future__ import annotations

import msgspec

from jettison.record.model import BuildRecord, ImageRecord


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """`--secret id=ID,src=PATH` or `,env=NAME`. Exactly one of `src` and `env` is set.

    `rebuild`: the RUNs that mount it run again when its value changes; otherwise its value is in no key.
    """

    id: str
    src: str | None = None
    env: str | None = None
    rebuild: bool = False


class SshAgent(msgspec.Struct, frozen=True, kw_only=True):
    """`--ssh ID[=PATH,PATH]`: `paths` is an agent's socket, or files of private keys; empty it is $SSH_AUTH_SOCK."""

    id: str = "default"
    paths: tuple[str, ...] = ()


ARCHIVES = ("oci", "docker")  # types of outputs that have layers
FILES = ("local", "tar")  # types of outputs that are plain files


class OutputSpec(msgspec.Struct, frozen=True, kw_only=True):
    """`-o`: where the result goes.

    `type` is oci, docker, local, tar, image or cacheonly; `dest` a path (`-` is standard output). `as_tar` False writes
    an OCI layout as a directory. `rewrite_timestamp` clamps every layer's times to the epoch. `compression` is gzip,
    zstd or uncompressed.
    """

    type: str
    dest: str = ""
    as_tar: bool = True
    compression: str = "gzip"
    rewrite_timestamp: bool = False
    names: tuple[str, ...] = ()


class CacheSource(msgspec.Struct, frozen=True, kw_only=True):
    """`--cache-from`: a cache elsewhere. `type` is registry (`ref`; an image with an inline cache will do, too) or
    local (`src`, an OCI layout; `tag` or `digest` says which of its caches).
    """

    type: str
    ref: str = ""
    src: str = ""
    tag: str = "latest"
    digest: str = ""


class CacheTarget(msgspec.Struct, frozen=True, kw_only=True):
    """`--cache-to`: where the build's results go. `type` is registry (`ref`), local (`dest`, an OCI layout, and `tag`),
    or inline: into the image's own config.

    `mode` min: the results that the image is made of; max: all. `mounts`: what RUN's cache mounts hold goes, too.
    `compression` is gzip, zstd or uncompressed. `ignore_error`: failing is a warning.
    """

    type: str
    ref: str = ""
    dest: str = ""
    tag: str = "latest"
    mode: str = "min"
    mounts: bool = False
    compression: str = "gzip"
    ignore_error: bool = False


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One build. Every field means what the flag of the same name means to `docker buildx build`.

    `context` is a directory, a URL or `-`. `dockerfile` is a path (None: `Dockerfile` in the context), or its text when
    `dockerfile_text` is given. `build_args` with value None take the environment's. `store` None is the user's own.
    `source_date_epoch` is in seconds. `jobs` 0 is four a processor, at least 16: most steps wait.
    """

    context: str = "."
    dockerfile: str | None = None
    dockerfile_text: str | None = None
    target: str | None = None
    tags: tuple[str, ...] = ()
    build_args: dict[str, str | None] = {}
    build_contexts: dict[str, str] = {}
    labels: dict[str, str] = {}
    secrets: tuple[Secret, ...] = ()
    ssh: tuple[SshAgent, ...] = ()
    platforms: tuple[str, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    network: str = "default"
    add_hosts: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    shm_size_bytes: int = 64 * 1024 * 1024
    cache_from: tuple[CacheSource, ...] = ()
    cache_to: tuple[CacheTarget, ...] = ()
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    isolation: str | None = None
    jobs: int = 0
    store: str | None = None
    source_date_epoch: int | None = None


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a build made: one image a platform, and the record of how."""

    images: tuple[ImageRecord, ...]
    record: BuildRecord
