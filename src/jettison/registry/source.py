"""What any source of images gives: a registry, or a layout directory of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import msgspec

from jettison.oci.documents import Descriptor, Platform

OnProgress = Callable[[int], None]  # bytes of one blob that have been written so far


class Sink(Protocol):
    """Where a blob's bytes go, in order."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""


@runtime_checkable
class Restartable(Protocol):
    """A sink that can begin anew: then a server that lied is no reason to give up while there is another."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""

    def restart(self) -> None:
        """Forget all bytes so far."""


@runtime_checkable
class Summing(Protocol):
    """A sink that sums what it takes: nobody else need do it."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""

    @property
    def digest(self) -> str:
        """Of all that was written so far."""


class Upload(Protocol):
    """Bytes that are sent: a blob's. It may be asked for more than once, when sending is tried again."""

    def pieces(self) -> Iterator[bytes]:
        """All bytes, from the beginning, in order."""


class Cancel(Protocol):
    """Asked between pieces: has the caller asked to stop?"""

    def is_set(self) -> bool:
        """True from the moment of the request on."""


class ResolvedManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One image of one platform, by its documents.

    `digest` is that of `manifest`, both documents are the bytes as received, checked against their digests. `layers`
    are bottom first. `platform` is what the config says that it is for. `index_digest` is that of the index which
    named the manifest, None where there was none. `endpoint` says who answered, for people.
    """

    digest: str
    manifest: bytes
    media_type: str
    config_digest: str
    config: bytes
    layers: tuple[Descriptor, ...]
    platform: Platform
    index_digest: str | None = None
    endpoint: str = ""


class ImageSource(Protocol):
    """Where images come from. Safe to call from several threads at once."""

    def resolve(self, reference: str, platform: Platform, cancel: Cancel | None = None) -> ResolvedManifest:
        """The image that `reference` names, of `platform`. No layer is read. Raises InputError, NetworkError and
        Cancelled.
        """

    def fetch_blob(
        self,
        reference: str,
        descriptor: Descriptor,
        sink: Sink,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Write the blob of `descriptor` to `sink`: exactly its size, and of its digest, or an error is raised (then
        what was written is worthless). Raises InputError, NetworkError and Cancelled.
        """
