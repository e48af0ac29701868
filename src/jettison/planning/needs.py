"""What lowering asks for and is told: the options of one plan, and the images whose configs it must know."""

# No `from __future__ import annotations`: msgspec would compile every annotation's text again at each start.

from collections.abc import Callable

import msgspec

from jettison.base.errors import Location
from jettison.base.span import Span
from jettison.oci.documents import ImageConfig

Warn = Callable[[str, str, Span], None]  # (rule, message, span), e.g. ("UndefinedVar", "Usage of …", span)

DEFAULT_SHM_BYTES = 64 * 1024 * 1024


class LowerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything beside the Dockerfile that one plan depends on; every field means what the flag of `docker buildx
    build` means.

    `platform` is the one platform of this plan (`linux/amd64`), `build_platform` that of this machine. `build_args`
    hold given values only. `contexts` maps a name (or `name::platform`) to `docker-image://REF`,
    `oci-layout://DIR[:TAG|@DIGEST]`, a git or http URL, or anything else: a directory, which becomes LocalOp(name).
    The main context is always LocalOp("context"): a remote one has been fetched before. `no_cache_stages` are the
    stages of --no-cache-filter, in any case. `proxy_env` is injected into RUN and enters no key; build-args of those
    names are added to it. `secret_stamps` are those of the secrets whose change rebuilds, by id (`ops.SecretMount`).
    `implicit_platform`: nobody asked for `platform`, so a base that has only another one may be
    taken, and the image is what its base is. `show_platform` puts the platform in front of what is displayed.
    """

    platform: str = "linux/amd64"
    build_platform: str = "linux/amd64"
    target: str | None = None
    build_args: dict[str, str] = {}
    contexts: dict[str, str] = {}
    labels: dict[str, str] = {}
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    shm_size_bytes: int = DEFAULT_SHM_BYTES
    hostname: str | None = None
    proxy_env: dict[str, str] = {}
    secret_stamps: dict[str, str] = {}
    no_cache: bool = False
    no_cache_stages: tuple[str, ...] = ()
    cache_namespace: str = ""
    implicit_platform: bool = False
    show_platform: bool = False


class NeedImage(msgspec.Struct, frozen=True, kw_only=True):
    """Lowering must know an image's config.

    `ref` is a normalised reference (`docker.io/library/alpine:3.20`), or `oci-layout://DIR[:TAG|@DIGEST]` as a named
    context gave it. `written` is what the Dockerfile says, `stage` the name of a stage that is nearly so, "" for none:
    what an error may ask about. Answer with `generator.send(ResolvedImage)`; an error of
    the caller's should be placed `.at(location)`.
    """

    ref: str
    platform: str
    written: str
    stage: str = ""
    location: Location | None = None


class ResolvedImage(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the digest of the platform's manifest (or of a local image's config), and the config's document.

    `platform` is the image's own where it differs from the one asked for (an image of one platform only).
    """

    digest: str
    config: ImageConfig
    platform: str | None = None
