"""Machines that share a cache: builds of one context in stores of their own, called in this process."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import images
from bases import assemble
from jettison.app.build import build
from jettison.app.request import BuildRequest, BuildResult, CacheSource, CacheTarget, OutputSpec
from jettison.record.model import AnyEvent, StepCached, StepFailed, StepStarted, Warned

EPOCH = 1_700_000_000


class Built(NamedTuple):
    """What came of a build. `ran` and `cached` are what their steps show, `digest` that of the archive's bytes."""

    result: BuildResult
    events: list[AnyEvent]
    archive: str = ""

    @property
    def ran(self) -> list[str]:
        """The steps that ran, but for fetching the base, which never costs."""
        return [step.display for step in self.result.record.steps if step.verdict == "ran" and step.stage]

    @property
    def verdicts(self) -> dict[str, str]:
        return {step.display: step.verdict for step in self.result.record.steps}

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    @property
    def id(self) -> str:
        return self.result.images[0].config_digest

    @property
    def digest(self) -> str:
        with open(self.archive, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    @property
    def image(self) -> images.Image:
        return images.read(self.archive)

    def of(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        return [event for event in self.events if isinstance(event, kind)]


class Machines:
    """Builds the context below `folder` on machines that are made by being named."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.context = os.path.join(folder, "context")
        os.makedirs(self.context)
        self.base = assemble.base("busybox")
        self._count = 0

    def write(self, **files: str) -> None:
        """Files of the context; a double underscore stands for a dot."""
        for name, text in files.items():
            with open(os.path.join(self.context, name.replace("__", ".")), "w", encoding="utf-8") as file:
                file.write(text)

    def store(self, machine: str) -> str:
        return os.path.join(self.folder, f"store-{machine}")

    def build(
        self,
        machine: str,
        *,
        to: CacheTarget | tuple[CacheTarget, ...] = (),
        of: CacheSource | tuple[CacheSource, ...] = (),
        output: OutputSpec | None = None,
        epoch: int | None = EPOCH,
        contexts: dict[str, str] | None = None,
        **more: Any,
    ) -> Built:
        """One build there; without `output` the image stays in the machine's store. `contexts` are named ones beside
        the base.
        """
        events: list[AnyEvent] = []
        request = BuildRequest(
            context=self.context,
            build_contexts={"busybox": f"oci-layout://{self.base}", **(contexts or {})},
            store=self.store(machine),
            cache_to=to if isinstance(to, tuple) else (to,),
            cache_from=of if isinstance(of, tuple) else (of,),
            outputs=(output,) if output is not None else (),
            source_date_epoch=epoch,
            **more,
        )
        return Built(build(request, on_event=events.append), events, output.dest if output else "")

    def archive(self, machine: str, *, compression: str = "gzip", **more: Any) -> Built:
        """One build, written as an archive in which times count no more."""
        self._count += 1
        dest = os.path.join(self.folder, f"{machine}-{self._count}.tar")
        output = OutputSpec(type="oci", dest=dest, rewrite_timestamp=True, compression=compression)
        return self.build(machine, output=output, **more)

    def snapshots(self, machine: str) -> list[str]:
        return sorted(os.listdir(os.path.join(self.store(machine), "store", "snapshots")))

    def blobs(self, machine: str) -> list[str]:
        return sorted(os.listdir(os.path.join(self.store(machine), "store", "blobs", "sha256")))


class Layout:
    """A cache in a directory, to be looked at and damaged."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, digest: str) -> str:
        return os.path.join(self.directory, "blobs", "sha256", digest.removeprefix("sha256:"))

    def read(self, digest: str) -> bytes:
        with open(self.path(digest), "rb") as file:
            return file.read()

    @property
    def entries(self) -> list[dict[str, Any]]:
        with open(os.path.join(self.directory, "index.json"), "rb") as file:
            found: list[dict[str, Any]] = json.load(file)["manifests"]
        return found

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read(self.entries[0]["digest"]))
        return found

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read(self.manifest["config"]["digest"]))
        return found

    def files(self) -> list[str]:
        return sorted(os.listdir(os.path.join(self.directory, "blobs", "sha256")))

    def layers(self) -> list[str]:
        """The digests of all blobs that the manifest names beside the document."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    def damage(self, digest: str) -> None:
        """Change a byte in the middle."""
        with open(self.path(digest), "r+b") as file:
            data = bytearray(file.read())
            data[len(data) // 2] ^= 0xFF
            file.seek(0)
            file.write(data)

    def redo(self, change: Callable[[dict[str, Any]], object], media_type: str | None = None) -> None:
        """Put a changed document in place of the cache's, under honest digests."""
        document, manifest, entry = self.document, self.manifest, self.entries[0]
        changed = change(document)
        data = changed if isinstance(changed, bytes) else json.dumps(document).encode()
        manifest["config"] |= {"digest": self.put(data), "size": len(data)}
        if media_type is not None:
            manifest["config"]["mediaType"] = media_type
        data = json.dumps(manifest).encode()
        entry |= {"digest": self.put(data), "size": len(data)}
        with open(os.path.join(self.directory, "index.json"), "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 2, "manifests": [entry]}, file)

    def put(self, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        with open(self.path(digest), "wb") as file:
            file.write(data)
        return digest


__all__ = ["EPOCH", "Built", "Layout", "Machines", "StepCached", "StepFailed", "StepStarted"]
