"""Bases of several platforms, made of an assembled one: the same bytes under other labels, or without them."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from bases import assemble
from bases.layout import CREATED, Image, Layer


def labelled(directory: str, platforms: tuple[str, ...], name: str = "busybox") -> str:
    """A layout whose index has the assembled base once for each platform; its programs are this machine's in all."""
    source = assemble.base(name)
    shutil.copytree(source, directory)
    layout = _Layout(directory)
    entry = layout.read("index.json")["manifests"][0]
    manifest = layout.blob(entry)
    config = layout.blob(manifest["config"])
    entries = [layout.image({**config, **parts(platform)}, manifest["layers"], platform) for platform in platforms]
    layout.point_to(entries)
    return directory


def of_layers(directory: str, layers: dict[str, Layer]) -> str:
    """A layout whose index has an image of one layer for each platform."""
    made = Image(directory, "unused")
    layout = _Layout(directory)
    entries = []
    for platform, layer in layers.items():
        made.layers, made.diff_ids, made.history = [], [], []
        made.layer(layer)
        rootfs = {"diff_ids": made.diff_ids, "type": "layers"}
        config = {"created": CREATED, "history": made.history, "rootfs": rootfs, "config": {}, **parts(platform)}
        entries.append(layout.image(config, made.layers, platform))
    layout.point_to(entries)
    layout.write("oci-layout", {"imageLayoutVersion": "1.0.0"})
    return directory


def parts(platform: str) -> dict[str, str]:
    """`linux/arm/v7` as the keys of a config or of a descriptor's platform."""
    return dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))


class _Layout:
    def __init__(self, directory: str) -> None:
        self.directory = directory

    def read(self, name: str) -> Any:
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return json.load(file)

    def blob(self, descriptor: dict[str, Any]) -> Any:
        return self.read(f"blobs/sha256/{descriptor['digest'].partition(':')[2]}")

    def image(self, config: dict[str, Any], layers: list[Any], platform: str) -> dict[str, Any]:
        """The index's entry of an image with that config."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.put(config)},
            "layers": layers,
        }
        return {"mediaType": manifest["mediaType"], **self.put(manifest), "platform": parts(platform)}

    def put(self, document: dict[str, Any]) -> dict[str, Any]:
        return Image.blob(self, json.dumps(document, sort_keys=True).encode())  # type: ignore[arg-type]

    def point_to(self, entries: list[dict[str, Any]]) -> None:
        """index.json with one entry: an index of the images, under the tag latest."""
        kind = "application/vnd.oci.image.index.v1+json"
        whole = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
        annotations = {"org.opencontainers.image.ref.name": "latest"}
        entry = {"mediaType": kind, **self.put(whole), "annotations": annotations}
        self.write("index.json", {**whole, "manifests": [entry]})

    def write(self, name: str, document: dict[str, Any]) -> None:
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            json.dump(document, file)
