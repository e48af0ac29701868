"""`--metadata-file`: docker buildx's keys (reference §2.1), and where our own record lies."""

from __future__ import annotations

from typing import Any

from jettison.app.request import BuildResult


def image_id(result: BuildResult) -> str:
    """What --iidfile and -q give: the config's digest; of several platforms the index's, or, while nothing has been
    written that has an index, every image's, a line each. "" for a build without an image.
    """
    if len(result.images) > 1 and result.record.index_digest:
        return result.record.index_digest
    return "\n".join(image.config_digest for image in result.images)


def metadata_json(result: BuildResult) -> bytes:
    """The file's bytes: `containerimage.*`, `image.name`, `buildx.build.ref`, and the record as `jettison.record`."""
    import msgspec

    from jettison.base.readable import readable_json

    found: dict[str, Any] = {"buildx.build.ref": f"jettison/{result.record.id}"}
    descriptor = _descriptor(result)
    if descriptor:
        found["containerimage.descriptor"] = descriptor
    if len(result.images) > 1:
        found["containerimage.digest"] = result.record.index_digest
    elif result.images:
        image = result.images[0]
        found["containerimage.config.digest"] = image.config_digest
        found["containerimage.digest"] = result.record.index_digest or image.manifest_digest or image.config_digest
    if result.images and result.images[0].names:
        found["image.name"] = ",".join(result.images[0].names)
    found["jettison.record"] = msgspec.to_builtins(result.record)
    return msgspec.json.format(readable_json(found, msgspec.json.Encoder(order="sorted").encode), indent=2) + b"\n"


def _descriptor(result: BuildResult) -> dict[str, Any]:
    """That of the index, or else of the one image's manifest; empty while nothing has been written that has either."""
    from jettison.oci.documents import INDEX, MANIFEST

    record = result.record
    if record.index_digest:
        return {"mediaType": INDEX, "digest": record.index_digest, "size": record.index_size_bytes}
    if len(result.images) == 1 and result.images[0].manifest_digest:
        image = result.images[0]
        return {"mediaType": MANIFEST, "digest": image.manifest_digest, "size": image.manifest_size_bytes}
    return {}
