"""Whether a snapshot comes back from its own layer as it was: asked before the layer travels in its place.

Little is lost on the way but what no tar can say. mtimes are another matter: layers have whole seconds (mechanisms: a
layer), and no key knows them.
"""

from __future__ import annotations

from collections.abc import Iterable

from jettison.layer.extract import DROPPED_XATTRS, MAX_PATH_BYTES, MAX_TREE_BYTES, NODE_BYTES
from jettison.layer.tarread import MAX_EXTENSION_BYTES
from jettison.layer.tarwrite import WHITEOUT
from jettison.tree.row import DELETED, Row

_SPARE_BYTES = 512  # of a header, for what stands in it besides


def unfaithful(rows: Iterable[Row]) -> str:
    """Why the snapshot of these rows, one that was made here, would not come back the same; "" when it does."""
    memory = 0
    for row in rows:
        problem = _problem(row)
        if problem:
            return problem
        memory += NODE_BYTES + len(row.path)
    return "it holds too many paths" if memory > MAX_TREE_BYTES else ""


def _problem(row: Row) -> str:
    if not row.path:
        return "" if row.implied else "it changes the root directory itself, which no layer can say"
    name = row.path.rpartition("/")[2]
    if row.opaque or (name.startswith(WHITEOUT) and row.type != DELETED):
        return f"/{row.path} would be taken for a whiteout"
    if max(_length(row.path), _length(row.target)) > MAX_PATH_BYTES - len(WHITEOUT):
        return f"it holds a path of more than {MAX_PATH_BYTES} bytes"
    return _xattr_problem(row) if row.xattrs else ""


def _xattr_problem(row: Row) -> str:
    size = sum(len(value) + _length(key) + _SPARE_BYTES for key, value in row.xattrs)
    if size + 2 * _length(row.path) + _length(row.target) > MAX_EXTENSION_BYTES:
        return f"/{row.path} has too many attributes"
    bad = next((key for key, _ in row.xattrs if "=" in key or key.startswith(DROPPED_XATTRS)), None)
    return "" if bad is None else f"/{row.path} has an attribute that no layer can hold: {bad}"


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
