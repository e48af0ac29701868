"""Images of a directory as a source: an OCI layout, or what `docker save` packs. Hostile input assumed.

A digest names a file and nothing else does, sizes are bounded, every byte is checked, and no symlink leads out of the
directory. Named as `oci-layout://DIR[:TAG][@DIGEST]`.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from jettison.base.digest import digest_of, hex_of, is_digest
from jettison.base.errors import Cancelled, InputError
from jettison.oci.documents import Descriptor, Index, Manifest, Platform
from jettison.oci.parse import MAX_CONFIG_BYTES, MAX_DOCUMENT_BYTES, parse_image, parse_index
from jettison.oci.platform import choose
from jettison.oci.reference import DEFAULT_TAG
from jettison.registry.image import (
    MAX_NESTING,
    Document,
    Tally,
    assembled,
    check_config_type,
    is_attestation,
    no_platform,
)
from jettison.registry.shown import shown
from jettison.registry.source import Cancel, OnProgress, ResolvedManifest, Sink

PREFIX = "oci-layout://"
NAME_ANNOTATION = "org.opencontainers.image.ref.name"
CONTAINERD_ANNOTATION = "io.containerd.image.name"
CHUNK_BYTES = 1 << 20


def open_layout(text: str) -> tuple[Layout, str]:
    """The directory of `[oci-layout://]DIR[:TAG][@DIGEST]`, and what follows it: a name for its methods.

    A directory whose own name has a colon is taken whole. Raises InputError.
    """
    path, at, digest = text.removeprefix(PREFIX).rpartition("@sha256:")
    path, digest = (path, f"@sha256:{digest}") if at else (digest, "")
    head, colon, tag = path.rpartition(":")
    if not colon or "/" in tag or os.path.isdir(path):
        head, tag = path, ""
    if not head:
        raise InputError(f"{text}: it names no directory", hint="write oci-layout://DIR[:TAG][@DIGEST]")
    return Layout(head), tag + digest


def _check(cancel: Cancel | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled("stopped while reading an image")


class Layout:
    """The images of one directory, as an `ImageSource` whose references are `[TAG][@DIGEST]`; with neither: the image
    tagged latest, or the only one. Any number of threads may call. Raises InputError for a directory without images.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._root = os.path.realpath(directory)
        self.is_oci = os.path.isfile(os.path.join(self._root, "index.json"))
        if not self.is_oci and not os.path.isfile(os.path.join(self._root, "manifest.json")):
            what = "no OCI image layout (it has no index.json)" if os.path.isdir(directory) else "no such directory"
            raise InputError(f"{directory}: {what}", hint="skopeo copy docker://IMAGE oci:DIR makes one")

    def resolve(self, reference: str, platform: Platform, cancel: Cancel | None = None) -> ResolvedManifest:
        """The image that `[TAG][@DIGEST]` names, for `platform`. Raises InputError."""
        _check(cancel)
        tag, at, digest = reference.partition("@")
        if at and not is_digest(digest):
            hint = "a digest is sha256: and 64 lower-case hex digits"
            raise InputError(f"{self.directory}: not a digest: {digest!r}", hint=hint)
        if self.is_oci:
            return _resolve(self, tag, digest, platform)
        from jettison.registry.saved import saved_image

        return saved_image(self, tag)

    def fetch_blob(
        self,
        reference: str,  # noqa: ARG002 - a layout keeps the blobs of all its images together
        descriptor: Descriptor,
        sink: Sink,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Write a blob to `sink`, checked against its size and digest. Raises InputError and Cancelled."""
        tally = Tally(sink, on_progress)
        what = f"{self.directory}: blob {descriptor.digest}"
        with self.open_blob(descriptor.digest) as file:
            while piece := file.read(min(CHUNK_BYTES, descriptor.size - tally.count + 1)):
                _check(cancel)
                if tally.count + len(piece) > descriptor.size:
                    raise InputError(f"{what}: it is larger than the {descriptor.size} bytes of the manifest")
                tally.write(piece)
        if tally.count != descriptor.size:
            raise InputError(f"{what}: {tally.count} bytes, the manifest says {descriptor.size}")
        if tally.digest != descriptor.digest:
            raise InputError(f"{what}: its bytes have another digest: {tally.digest}")

    def open(self, name: str) -> BinaryIO:
        """A regular file by its path below the directory, unbuffered. Raises InputError."""
        path = os.path.realpath(os.path.join(self._root, name))
        if os.path.commonpath((self._root, path)) != self._root:
            raise InputError(f"{self.directory}: {name} leads out of the directory")
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise InputError(f"{self.directory}: {name}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise InputError(f"{self.directory}: {name} is no file")
        return os.fdopen(fd, "rb", 0)

    def read(self, name: str, limit: int) -> bytes:
        """A whole file of at most `limit` bytes."""
        with self.open(name) as file:
            data = bytearray()
            while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
                data += piece
        if len(data) > limit:
            raise InputError(f"{self.directory}: {name} is larger than {limit} bytes")
        return bytes(data)

    def size(self, name: str) -> int:
        """How many bytes a file has."""
        with self.open(name) as file:
            return os.fstat(file.fileno()).st_size

    def open_blob(self, digest: str) -> BinaryIO:
        """The blob of a digest, unchecked."""
        if self.is_oci:
            return self.open(f"blobs/sha256/{hex_of(digest)}")
        from jettison.registry.saved import saved_blob

        return self.open(saved_blob(self, digest))

    def document(self, digest: str, limit: int, size: int | None = None) -> bytes:
        """A small blob, checked."""
        data = self.read(f"blobs/sha256/{hex_of(digest)}", limit)
        if digest_of(data) != digest or (size is not None and len(data) != size):
            raise InputError(f"{self.directory}: blob {digest} is damaged: {len(data)} bytes of {digest_of(data)}")
        return data


def _resolve(layout: Layout, tag: str, digest: str, wanted: Platform) -> ResolvedManifest:
    what = layout.directory
    size: int | None = None
    media_type = ""
    if not digest:
        entry = _named(what, parse_index(layout.read("index.json", MAX_DOCUMENT_BYTES), what), tag, wanted)
        digest, size, media_type = entry.digest, entry.size, entry.media_type
    index_digest = None
    for _ in range(MAX_NESTING):
        data = layout.document(digest, MAX_DOCUMENT_BYTES, size)
        parsed = parse_image(data, media_type, f"{what}: {digest}")
        if isinstance(parsed, Manifest):
            document = Document(digest=digest, media_type=media_type, data=data, endpoint=what)
            return _image(layout, document, parsed, index_digest)
        index_digest = index_digest or digest
        found = choose(parsed.manifests, wanted) or _only(parsed)
        if found is None:
            raise no_platform(what, parsed, wanted)
        digest, size, media_type = found.digest, found.size, found.media_type
    raise InputError(f"{what}: an index in an index in an index")


def _image(layout: Layout, document: Document, parsed: Manifest, index_digest: str | None) -> ResolvedManifest:
    check_config_type(layout.directory, parsed)
    config = layout.document(parsed.config.digest, MAX_CONFIG_BYTES, parsed.config.size)
    return assembled(layout.directory, document, parsed, config, index_digest)


def _named(what: str, index: Index, tag: str, wanted: Platform) -> Descriptor:
    """The entry that is meant: by its tag, or the one called latest, or the only one (of this platform)."""
    images = [entry for entry in index.manifests if not is_attestation(entry)]
    tagged = [entry for entry in images if (tag or DEFAULT_TAG) in _tags(entry)]
    candidates = tagged or ([] if tag else images)
    if len(candidates) == 1:
        return candidates[0]
    if found := choose(candidates, wanted):
        return found
    tags = ", ".join(sorted({shown(tag) for entry in images for tag in _tags(entry)})) or "none"
    missing = f"no image is tagged {tag}" if tag else f"it holds {len(images)} images, and none is meant"
    raise InputError(f"{what}: {missing}", hint=f"add :TAG or @DIGEST; tags that it has: {tags}")


def _tags(entry: Descriptor) -> set[str]:
    """What an entry is called: the tag itself, or the tag of a full name."""
    names = (entry.annotations.get(NAME_ANNOTATION, ""), entry.annotations.get(CONTAINERD_ANNOTATION, ""))
    found = {names[0]} if names[0] else set()
    return found | {tail for name in names for _, colon, tail in [name.rpartition(":")] if colon and "/" not in tail}


def _only(index: Index) -> Descriptor | None:
    """The single image of an index that names no platform."""
    silent = [entry for entry in index.manifests if entry.platform is None and not is_attestation(entry)]
    return silent[0] if len(silent) == 1 else None
