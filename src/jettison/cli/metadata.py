"""`--metadata-file`: docker buildx's keys (reference §2.1), and where our own record lies."""

from __future__ import annotations

from typing import Any

from jettison.app.request import BuildResult


def metadata_json(result: BuildResult) -> bytes:
    """The file's bytes: `containerimage.*`, `image.name`, `buildx.build.ref`, and the record as `jettison.record`."""
    import msgspec

    found: dict[str, Any] = {"buildx.build.ref": f"jettison/{result.record.id}"}
    if result.images:
        image = result.images[0]
        found["containerimage.config.digest"] = image.config_digest
        found["containerimage.digest"] = image.manifest_digest or image.config_digest
        if image.names:
            found["image.name"] = ",".join(image.names)
    found["jettison.record"] = msgspec.to_builtins(result.record)
    return msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=2) + b"\n"
