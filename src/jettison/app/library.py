"""Images of the local store: listed, found by name or id, pulled."""

from __future__ import annotations

import msgspec

from jettison.app.emit import Emitter, Listener
from jettison.app.images import Base, Images
from jettison.app.materials import Materials, each
from jettison.app.outputs import rfc3339
from jettison.app.session import Session
from jettison.base.digest import is_digest
from jettison.base.errors import InputError, JettisonError
from jettison.oci.platform import format_platform, host_platform, parse_platform
from jettison.oci.reference import parse_reference
from jettison.store.names import NamedImage
from jettison.store.store import Store

ID_DIGITS = 6  # at least, where an image is named by the beginning of its id


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """A named image. `size_bytes` counts the layers' tars; of what was pulled, the compressed blobs."""

    name: str
    platform: str
    config_digest: str
    created: str
    size_bytes: int


def stored_images(home: str | None = None) -> tuple[StoredImage, ...]:
    """Every image of the store, by name. Raises HostError."""
    with Session.open(home) as session:
        return tuple(_stored(session.store, image) for image in session.store.names.all())


def _stored(store: Store, image: NamedImage) -> StoredImage:
    sizes = (store.layers.known_size(name) for name in dict.fromkeys(image.keeps))
    return StoredImage(
        name="<none>" if is_digest(image.name) else parse_reference(image.name).familiar,
        platform=image.platform,
        config_digest=image.config_digest,
        created=rfc3339(image.created_s),
        size_bytes=sum(sizes),
    )


def find_image(session: Session, images: Images, text: str) -> Base:
    """The image that a person means: a name or id of the store, else a reference that is pulled. Raises InputError."""
    named = [image for image in session.store.names.all() if _means(image, text)]
    if len({image.config_digest for image in named}) > 1:
        raise InputError(f"{text} is the beginning of several images' ids", hint="write more digits of it")
    if named:
        return images.named(named[0])
    try:
        return images.find(text, format_platform(host_platform()))
    except JettisonError as error:
        hint = "`jettison images` lists what is here; `jettison build -t NAME` makes one"
        raise type(error)(
            f"{text} is no image of the local store, and pulling it failed: {error.message}", hint=hint
        ) from None


def _means(image: NamedImage, text: str) -> bool:
    digits = text.removeprefix("sha256:")
    return len(digits) >= ID_DIGITS and image.config_digest.removeprefix("sha256:").startswith(digits)


def pull(
    reference: str, *, platform: str | None = None, home: str | None = None, on_event: Listener | None = None
) -> str:
    """Fetch an image and all its layers; the digest of its manifest. Raises InputError, NetworkError, HostError."""
    wanted = format_platform(parse_platform(platform) if platform else host_platform())
    with Session.open(home) as session:
        images = Images(session, pull=True)
        base = images.find(str(parse_reference(reference)), wanted)
        materials = Materials(session, Emitter(on_event))
        diff_ids = [row.diff_id for row in base.rows]
        blobs = each(list(dict.fromkeys(diff_ids)), lambda diff_id: materials.blobs((diff_id,))[diff_id])
        session.store.names.put(
            NamedImage(
                name=str(parse_reference(reference)),
                platform=wanted,
                config_digest=base.config_digest,
                manifest_digest=base.digest,
                keeps=(*base.layers, base.config_digest, base.digest, *(blob.digest for blob in blobs.values())),
            )
        )
        return base.digest
