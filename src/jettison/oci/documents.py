"""Config, manifest, index and descriptor (OCI image-spec 1.1), and Docker's twins of them.

Received documents keep their raw bytes beside the decoded value: a digest is of bytes, never of a re-encoding.
"""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

from typing import Any

import msgspec

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


class _Document(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """JSON with camelCase names; defaults are left out."""


class Platform(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """OCI platform: Go's names for os and architecture."""

    architecture: str
    os: str
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: tuple[str, ...] = msgspec.field(name="os.features", default=())
    variant: str = ""


class Descriptor(_Document, frozen=True, kw_only=True):
    """A typed pointer to a blob: `size` in bytes."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    platform: Platform | None = None


class Manifest(_Document, frozen=True, kw_only=True):
    schema_version: int = msgspec.field(default=0)
    media_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class Index(_Document, frozen=True, kw_only=True):
    schema_version: int = msgspec.field(default=0)
    media_type: str = ""
    manifests: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class Healthcheck(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True, kw_only=True):
    """Durations in ns."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RuntimeConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True, kw_only=True):
    """The `config` object of an image config: what a runtime acts on."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] = {}
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    args_escaped: bool = False
    healthcheck: Healthcheck | None = None
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    on_build: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class HistoryEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`created` is RFC 3339."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFS(msgspec.Struct, frozen=True, kw_only=True):
    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An image config. Unknown members of a received one are dropped only when a new image is made of it."""

    created: str | None = None
    author: str = ""
    architecture: str
    os: str
    os_version: str = msgspec.field(name="os.version", default="")
    os_features: tuple[str, ...] = msgspec.field(name="os.features", default=())
    variant: str = ""
    config: RuntimeConfig = RuntimeConfig()
    rootfs: RootFS = RootFS()
    history: tuple[HistoryEntry, ...] = ()
