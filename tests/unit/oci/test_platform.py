"""Platforms: spellings, and what is chosen from an index."""

from __future__ import annotations

import pytest

from jettison.base.errors import InputError
from jettison.oci.documents import Descriptor, Platform
from jettison.oci.platform import choose, format_platform, host_platform, matches, parse_platform

HOST = Platform(os="linux", architecture="arm64")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("amd64", "linux/amd64"),
        ("arm64/v8", "linux/arm64"),
        ("windows", "windows/arm64"),
        ("local", "linux/arm64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_one_spelling_a_platform(text: str, normal: str) -> None:
    assert format_platform(parse_platform(text, HOST)) == normal
    assert parse_platform(normal) == parse_platform(text, HOST)


@pytest.mark.parametrize("text", ["", "linux/", "/amd64", "a/b/c/d", "linux amd64", "vax", "linux/amd64\n"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="invalid platform"):
        parse_platform(text, HOST)


def test_this_machine_has_one() -> None:
    host = host_platform()
    assert host.os in ("linux", "windows")
    assert parse_platform("local") == host


def entry(platform: str | None, letter: str) -> Descriptor:
    parsed = None
    if platform is not None:
        system, architecture, *variant = platform.split("/")
        parsed = Platform(os=system, architecture=architecture, variant="".join(variant))
    return Descriptor(media_type="m", digest="sha256:" + letter * 64, size=1, platform=parsed)


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["linux/386", "linux/amd64"], 1),
        ("linux/amd64", ["linux/386"], 0),
        ("linux/amd64", ["linux/amd64/v3"], None),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"], 1),
        ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/arm/v7", ["linux/arm"], 0),
        ("linux/s390x", ["linux/amd64", "unknown/unknown"], None),
        ("linux/amd64", [None], None),
        ("linux/amd64", ["linux/amd64", "linux/amd64"], 0),
        ("linux/amd64", ["windows/amd64"], None),
    ],
)
def test_the_best_fitting_entry_is_chosen(wanted: str, offered: list[str | None], chosen: int | None) -> None:
    entries = [entry(platform, "0123456789"[number]) for number, platform in enumerate(offered)]
    found = choose(entries, parse_platform(wanted))
    assert (None if found is None else entries.index(found)) == chosen


def test_matching_is_not_equality() -> None:
    assert matches(parse_platform("linux/amd64"), Platform(os="linux", architecture="386"))
    assert not matches(parse_platform("linux/386"), Platform(os="linux", architecture="amd64"))
