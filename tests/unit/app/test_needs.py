"""What a build will read of its bases."""

import hashlib

import pytest

from jettison.app.needs import needs_of
from jettison.base.span import Source
from jettison.oci.documents import ImageConfig, RootFS
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions, ResolvedImage
from jettison.syntax.parse import parse_dockerfile

CONFIG = ImageConfig(os="linux", architecture="amd64", rootfs=RootFS(diff_ids=("sha256:" + "1" * 64,)))


def digest(name):
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def needs(text):
    """By the image's name."""
    asked = {}

    def resolve(need):
        asked[digest(need.ref)] = need.ref
        return ResolvedImage(digest=digest(need.ref), config=CONFIG)

    plan = drive(lower(parse_dockerfile(Source("Dockerfile", text)), LowerOptions()), resolve)
    return {asked[image]: files for image, files in needs_of((plan,)).items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\n", {}),
        ("FROM a\nENV x=y\n", {}),
        ("FROM a\nCOPY f /\n", {"a": False}),
        ("FROM a\nWORKDIR /w\nCOPY f /\n", {"a": False}),
        ("FROM a\nCOPY --chown=0:1 f /\n", {"a": False}),
        ("FROM a\nCOPY --chown=me f /\n", {"a": True}),
        ("FROM a\nUSER me\nWORKDIR /w\n", {"a": True}),
        ("FROM a\nRUN true\n", {"a": True}),
        ("FROM a\nCOPY --link f /\nCOPY --link --chown=1 g /\n", {}),
        ("FROM a\nCOPY --link --chmod=755 f /\n", {"a": False}),
        ("FROM a\nCOPY --link f /\nCOPY g /\n", {"a": False}),
        ("FROM a\nCOPY --link f /\nRUN true\n", {"a": True}),
        ("FROM a\nCOPY f /\nRUN true\n", {"a": True}),
        ("FROM scratch\nCOPY --from=a f /\n", {"a": True}),
        ("FROM a AS s\nRUN true\nFROM b\nCOPY --from=s /f /\n", {"a": True, "b": False}),
        ("FROM a AS s\nCOPY f /\nFROM b\nCOPY --from=s /f /\n", {"a": True, "b": False}),
        ("FROM a\nRUN --mount=type=bind,from=b,target=/b true\n", {"a": True, "b": True}),
        ("FROM a AS unreached\nRUN true\nFROM b\nCOPY f /\n", {"b": False}),
        ("FROM a AS one\nCOPY f /\nFROM a AS two\nRUN true\nFROM one\nCOPY --from=two /g /\n", {"a": True}),
    ],
)
def test_what_is_read(text, expected):
    found = needs(text)
    assert {name.removeprefix("docker.io/library/").removesuffix(":latest"): found[name] for name in found} == expected
