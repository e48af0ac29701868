"""The front of the registry floor: images and blobs by reference. Neither urllib3 nor ssl is imported before a request.

registry = Registry(load_config())
image = registry.resolve(parse_reference("busybox"), parse_platform("linux/amd64"))
registry.fetch_blob(parse_reference("busybox"), image.layers[0], sink)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jettison.oci.documents import Descriptor, Platform
from jettison.oci.reference import Reference, parse_reference
from jettison.registry.auth import lookup
from jettison.registry.blob import fetch_blob
from jettison.registry.config import Patience, RegistryConfig, load_config
from jettison.registry.exchange import Lookup
from jettison.registry.flow import Session
from jettison.registry.image import Document, Tally
from jettison.registry.keychain import run_helper
from jettison.registry.pull import manifest, resolve, small_blob
from jettison.registry.push import has_blob, push_blob, push_manifest
from jettison.registry.source import Cancel, OnProgress, ResolvedManifest, Sink, Upload

if TYPE_CHECKING:
    from jettison.registry.wire import Wire


class Registry:
    """Registries, as one source of images. Any number of threads may call at once: fetch the layers in parallel.

    `config` None is the user's own (`registry.config.load_config`). Access tokens and connections are kept until
    `close`. References are `Reference` or text.
    """

    def __init__(
        self,
        config: RegistryConfig | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience
        self._environ = os.environ if environ is None else environ
        self._config = config
        self._session: Session | None = None
        self._wire: Wire | None = None
        self._lock = threading.Lock()

    def resolve(self, reference: Reference | str, platform: Platform, cancel: Cancel | None = None) -> ResolvedManifest:
        """The image of `reference` for `platform`: its manifest and config, checked. See `ResolvedManifest`.

        An image without an index is taken whatever platform it is for (its `platform` tells). Raises NetworkError,
        InputError and Cancelled.
        """
        session, wire = self._started()
        return wire.run(resolve(session, _parsed(reference), platform), cancel=cancel)

    def fetch_blob(
        self,
        reference: Reference | str,
        descriptor: Descriptor,
        sink: Sink,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Write a blob to `sink`: exactly `descriptor.size` bytes of digest `descriptor.digest`, else an error is
        raised and what was written is worthless. A cut connection is resumed. What `sink` raises goes through.
        """
        session, wire = self._started()
        tally = Tally(sink, on_progress)
        wire.run(fetch_blob(session, _parsed(reference), descriptor, tally), tally, cancel)

    def document(self, reference: Reference | str, cancel: Cancel | None = None) -> Document:
        """The manifest or index that `reference` names, as it is: bytes, digest, media type."""
        session, wire = self._started()
        parsed = _parsed(reference)
        return wire.run(manifest(session, parsed, parsed.selector), cancel=cancel)

    def read_blob(
        self, reference: Reference | str, descriptor: Descriptor, limit: int, cancel: Cancel | None = None
    ) -> bytes:
        """A small blob, checked. Raises InputError for one of more than `limit` bytes."""
        session, wire = self._started()
        return wire.run(small_blob(session, _parsed(reference), descriptor, limit), cancel=cancel)

    def has_blob(self, reference: Reference | str, digest: str, cancel: Cancel | None = None) -> bool:
        """Whether the reference's repository, in the registry itself, has a blob. The login must be one that may write:
        it is asked before something is pushed.
        """
        session, wire = self._started()
        return wire.run(has_blob(session, _parsed(reference), digest), cancel=cancel)

    def push_blob(
        self, reference: Reference | str, descriptor: Descriptor, upload: Upload, cancel: Cancel | None = None
    ) -> bool:
        """Send a blob to the reference's repository; False when it was there. Raises NetworkError and Cancelled."""
        session, wire = self._started()
        return wire.run(push_blob(session, _parsed(reference), descriptor), cancel=cancel, upload=upload)

    def push_manifest(
        self, reference: Reference | str, data: bytes, media_type: str, cancel: Cancel | None = None
    ) -> str:
        """Let the reference name a manifest whose blobs are there; its digest. Raises NetworkError and Cancelled."""
        session, wire = self._started()
        return wire.run(push_manifest(session, _parsed(reference), data, media_type), cancel=cancel)

    def close(self) -> None:
        """Close what is open. The next call opens it anew."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _started(self) -> tuple[Session, Wire]:
        from jettison.registry.wire import Wire

        with self._lock:
            if self._session is None:
                self._session = Session(self._config or load_config(self._environ))
            if self._wire is None:
                self._wire = Wire(self._login, self._environ, self._patience)
            return self._session, self._wire

    def _login(self, host: str) -> Lookup:
        return lookup(host, self._environ, run_helper)


def _parsed(reference: Reference | str) -> Reference:
    return reference if isinstance(reference, Reference) else parse_reference(reference)
