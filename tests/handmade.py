"""Images made by hand for the tests of exports: layers of rows, their blobs in a directory."""

import io
import os

from jettison.base.digest import hex_of
from jettison.export.layout import ExportedImage, ExportedLayer
from jettison.layer.press import Press
from jettison.layer.tarwrite import END, layer_pieces, padding
from jettison.oci.documents import Descriptor, HistoryEntry, ImageConfig, RuntimeConfig
from jettison.oci.image import LAYER_TYPES, LayerFacts, assemble, manifest_bytes, platform_of
from jettison.tree.row import DELETED, DIR, FILE, SYMLINK, Row, order

CREATED = "2024-01-01T00:00:00Z"
SECOND = 1_700_000_000_000_000_000
ROOT = Row("", DIR, 0o755, implied=True)
LOWER = [
    ROOT,
    Row("bin", DIR, 0o755, mtime_ns=SECOND),
    Row("bin/tool", FILE, 0o4755, size=2_000_000, mtime_ns=SECOND),
    Row("bin/alias", SYMLINK, 0o777, target="tool", mtime_ns=SECOND),
    Row("home", DIR, 0o755, mtime_ns=SECOND),
    Row("home/größe", FILE, 0o600, 1000, 1000, 4, SECOND),
    Row("old", FILE, 0o644, size=3, mtime_ns=SECOND),
]
UPPER = [
    ROOT,
    Row("home", DIR, 0o755, mtime_ns=SECOND, implied=True),
    Row("home/a", FILE, 0o644, size=9, mtime_ns=SECOND, link="home/a"),
    Row("home/b", FILE, 0o644, size=9, mtime_ns=SECOND, link="home/a"),
    Row("old", DELETED),
]


def tar_of(rows):
    out = io.BytesIO()
    for piece in layer_pieces(sorted(rows, key=lambda row: order(row.path))):
        out.write(piece.header)
        if piece.path is not None:
            out.write(b"jettison "[: piece.size].ljust(piece.size, b"y") + bytes(padding(piece.size)))
    return out.getvalue() + END


def layer_of(rows, blobs, compression):
    out = io.BytesIO()
    press = Press(compression, out)
    press.write(tar_of(rows))
    made = press.finish()
    path = os.path.join(blobs, hex_of(made.digest))
    with open(path, "wb") as file:
        file.write(out.getvalue())
    descriptor = Descriptor(media_type=LAYER_TYPES[compression], digest=made.digest, size=made.size_bytes)
    return ExportedLayer(descriptor, path), LayerFacts(diff_id=made.diff_id, descriptor=descriptor)


def image_of(blobs, compression="gzip", architecture="amd64", layers=(LOWER, UPPER)):
    """An image of hand-built layers."""
    os.makedirs(blobs, exist_ok=True)
    made = [layer_of(rows, blobs, compression) for rows in layers]
    base = ImageConfig(
        architecture=architecture, os="linux", config=RuntimeConfig(env=("PATH=/bin",), cmd=("/bin/tool",), user="1000")
    )
    history = [(HistoryEntry(created_by=f"layer {at}"), facts) for at, (_, facts) in enumerate(made)]
    config = assemble(base, history, created=CREATED)
    return ExportedImage(
        config=config.config,
        manifest=manifest_bytes(config.config, [layer.descriptor for layer, _ in made]),
        layers=tuple(layer for layer, _ in made),
        platform=platform_of(config.document),
    )
