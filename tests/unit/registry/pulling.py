"""A world in memory with a registry, to resolve images of and to fetch blobs from."""

from __future__ import annotations

import io

import pytest

from fakes.registry import FakeRegistry, World, sha
from jettison.base.errors import NetworkError
from jettison.oci.documents import Descriptor
from jettison.oci.platform import parse_platform
from jettison.oci.reference import parse_reference
from jettison.registry.blob import fetch_blob
from jettison.registry.config import RegistryConfig
from jettison.registry.flow import Session
from jettison.registry.image import Tally
from jettison.registry.pull import resolve

AMD64 = parse_platform("linux/amd64")
HOST = "https://reg.example"


class Sink(io.BytesIO):
    """One that can begin anew."""

    def restart(self) -> None:
        self.seek(0)
        self.truncate()


class Setting:
    """A world with one registry at reg.example that has `app:1`."""

    def __init__(self, registry: FakeRegistry | None = None, config: RegistryConfig | None = None) -> None:
        self.world = World()
        self.registry = registry or FakeRegistry()
        self.world.servers[HOST] = self.registry
        self.world.servers["https://auth.example"] = self.registry.token_server
        self.registry.image("app", "1")
        self.session = Session(config or RegistryConfig())

    def resolve(self, reference: str = "reg.example/app:1", platform: str = "linux/amd64"):
        return self.world.run(resolve(self.session, parse_reference(reference), parse_platform(platform)))

    def fetch(
        self,
        data: bytes,
        *,
        size: int | None = None,
        digest: str | None = None,
        urls: tuple[str, ...] = (),
        restartable: bool = False,
    ):
        sink = (Sink if restartable else io.BytesIO)()
        tally = Tally(sink)
        descriptor = Descriptor(media_type="m", digest=sha(data), size=len(data), urls=urls)
        self.world.run(fetch_blob(self.session, parse_reference("reg.example/app:1"), descriptor, tally), tally)
        return sink.getvalue()

    def fails(self, kind=NetworkError, reference: str = "reg.example/app:1", platform: str = "linux/amd64"):
        with pytest.raises(kind) as caught:
            self.resolve(reference, platform)
        return caught.value
