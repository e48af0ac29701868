"""How the layers of a build's steps will be wanted: known before they are made."""

import pytest

from jettison.app.packing import HASH_ONLY, Packing, foreseen
from jettison.app.request import BuildRequest, CacheTarget, OutputSpec
from jettison.base.span import Source
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions
from jettison.syntax.parse import parse_dockerfile

TEXT = "FROM scratch AS first\nCOPY a /\nFROM scratch\nCOPY b /\nCOPY --from=first a /\n"
EPOCH = 7
IMAGE, NAMED = OutputSpec(type="image"), OutputSpec(type="image", rewrite_timestamp=True)
OCI, CLAMPED = OutputSpec(type="oci", compression="zstd"), OutputSpec(type="docker", rewrite_timestamp=True)
LOCAL, NOTHING = OutputSpec(type="local"), OutputSpec(type="cacheonly")
LEAST, ALL = CacheTarget(type="registry"), CacheTarget(type="local", mode="max", compression="uncompressed")
INLINE = CacheTarget(type="inline")


def wanted(**asked):
    """How the layers of the first stage's COPY are wanted, and those of the last stage's."""
    plan = drive(lower(parse_dockerfile(Source("Dockerfile", TEXT)), LowerOptions()), lambda _: None)
    found = foreseen(BuildRequest(**asked), [plan], EPOCH)
    first = next(step.id for step in plan.steps if step.stage == "first" and step.inputs)
    last = {found.get(step.id) for step in plan.steps if step.id in plan.lineage[1:]}
    assert len(last) == 1
    return found.get(first), last.pop()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({}, None, Packing()),
        ({"tags": ("x",)}, None, Packing()),
        ({"outputs": (IMAGE,)}, None, Packing()),
        ({"outputs": (NAMED,)}, None, Packing(HASH_ONLY, EPOCH)),
        ({"outputs": (OCI,)}, None, Packing("zstd")),
        ({"outputs": (IMAGE, OCI)}, None, Packing("zstd")),
        ({"outputs": (CLAMPED, OCI)}, None, Packing("gzip", EPOCH)),
        ({"outputs": (LOCAL,)}, None, None),
        ({"outputs": (NOTHING,)}, None, None),
        ({"outputs": (LOCAL,), "tags": ("x",)}, None, Packing()),
        ({"cache_to": (INLINE,)}, None, Packing()),
        ({"cache_to": (LEAST,)}, None, Packing("gzip")),
        ({"cache_to": (ALL,)}, Packing("uncompressed"), Packing("uncompressed")),
        ({"cache_to": (ALL,), "outputs": (OCI,)}, Packing("uncompressed"), Packing("zstd")),
        ({"cache_to": (LEAST,), "outputs": (NAMED,)}, None, Packing(HASH_ONLY, EPOCH)),
        ({"cache_to": (ALL,), "outputs": (NOTHING,)}, Packing("uncompressed"), Packing("uncompressed")),
    ],
)
def test_how_layers_will_be_wanted(asked, first, last):
    assert wanted(**asked) == (first, last)
