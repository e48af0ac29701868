"""What every source of images does with the documents it read: choose, check, put together. Pure."""

from __future__ import annotations

import msgspec

from jettison.base.digest import running
from jettison.base.errors import InputError
from jettison.oci.documents import CONFIG, DOCKER_CONFIG, MANIFEST, Descriptor, Index, Manifest, Platform
from jettison.oci.image import platform_of
from jettison.oci.parse import parse_config
from jettison.oci.platform import acceptable, format_platform
from jettison.registry.shown import shown
from jettison.registry.source import OnProgress, ResolvedManifest, Restartable, Sink, Summing

MAX_NESTING = 3  # an index in an index is legal; deeper ones are a trap
_CONFIG_TYPES = frozenset({"", CONFIG, DOCKER_CONFIG, "application/octet-stream"})  # the last: early Docker's


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document as received: `digest` is of `data`; `media_type` as it was served."""

    digest: str
    media_type: str
    data: bytes
    endpoint: str = ""


class Tally:
    """A sink that counts and digests what goes through it to another."""

    def __init__(self, sink: Sink, on_progress: OnProgress | None = None) -> None:
        self._sink = sink
        self._on_progress = on_progress
        self._summing = sink if isinstance(sink, Summing) else None
        self._hash = running()
        self.count = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._summing is None:
            self._hash.update(data)
        self._sink.write(data)
        self.count += len(data)
        if self._on_progress is not None:
            self._on_progress(self.count)

    def restart(self) -> bool:
        """Begin anew, if the sink can: it then has a `restart()` that forgets all that was written."""
        if not isinstance(self._sink, Restartable):
            return False
        self._sink.restart()
        self._hash = running()
        self.count = 0
        return True

    @property
    def digest(self) -> str:
        """The digest of all that was written."""
        return self._summing.digest if self._summing is not None else "sha256:" + self._hash.hexdigest()


def is_attestation(entry: Descriptor) -> bool:
    """Whether an entry of an index is no image but a statement about one."""
    return "vnd.docker.reference.type" in entry.annotations


def no_platform(what: str, index: Index, wanted: Platform) -> InputError:
    """The error for an index without a fitting entry; it lists what there is."""
    offered = [format_platform(entry.platform) for entry in index.manifests if entry.platform and entry.platform.os]
    offered = [shown(name) for name in dict.fromkeys(offered) if name != "unknown/unknown"]
    tried = format_platform(acceptable(wanted)[0])
    return InputError(
        f"{what}: no match for platform in manifest: {tried} is not among {', '.join(offered) or 'its entries'}",
        hint=f"name one of them: --platform {offered[0]}" if offered else None,
    )


def check_config_type(what: str, parsed: Manifest) -> None:
    """Raises InputError for what is stored as an image and is none (a chart, a signature)."""
    if parsed.config.media_type not in _CONFIG_TYPES:
        raise InputError(f"{what}: it is no container image but holds {shown(parsed.config.media_type)}")


def assembled(
    what: str, document: Document, parsed: Manifest, config: bytes, index_digest: str | None
) -> ResolvedManifest:
    """A resolved image of its two documents. Raises InputError when they do not fit each other."""
    image = parse_config(config, f"{what}: config")
    if len(image.rootfs.diff_ids) != len(parsed.layers):
        raise InputError(
            f"{what}: {len(parsed.layers)} layers, but {len(image.rootfs.diff_ids)} diff_ids in its config"
        )
    return ResolvedManifest(
        digest=document.digest,
        manifest=document.data,
        media_type=parsed.media_type or document.media_type or MANIFEST,
        config_digest=parsed.config.digest,
        config=config,
        layers=parsed.layers,
        platform=platform_of(image),
        index_digest=index_digest,
        endpoint=document.endpoint,
    )
