"""Platforms: parse and normalise `os/arch[/variant]` as the field does, and choose from an index by it. Pure."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import msgspec

from jettison.base.errors import InputError
from jettison.oci.documents import Descriptor, Platform

LOCAL = "local"  # stands for this machine's platform

_OS_NAMES = {"macos": "darwin"}
_SYSTEMS = frozenset({
    "aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd", "plan9",
    "solaris", "wasip1", "windows",
})  # fmt: skip
_MACHINES = {
    "x86_64": ("amd64", ""), "x86-64": ("amd64", ""), "aarch64": ("arm64", ""), "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"), "armv7l": ("arm", "v7"), "armv6l": ("arm", "v6"), "armv8l": ("arm", "v7"),
    "i386": ("386", ""), "i486": ("386", ""), "i586": ("386", ""), "i686": ("386", ""), "x86": ("386", ""),
}  # fmt: skip
_ARCHITECTURES = frozenset({
    "386", "amd64", "amd64p32", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "sparc64", "wasm",
})  # fmt: skip
_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")


def parse_platform(text: str, host: Platform | None = None) -> Platform:
    """`os/arch[/variant]`, an architecture or a system alone, or `local`, normalised.

    What is left out is the `host`'s (default: this machine's). Raises InputError.
    """
    host = host or host_platform()
    if text == LOCAL:
        return host
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(part and _WORD.issuperset(part) for part in parts):
        raise _invalid(text, "not a platform")
    if len(parts) == 1:
        return _parse_word(text, parts[0], host)
    if len(parts) == 2 and parts[0] in _ARCHITECTURES:  # arm64/v8
        return normalize(Platform(os=host.os, architecture=parts[0], variant=parts[1]))
    return normalize(Platform(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else ""))


def _parse_word(text: str, word: str, host: Platform) -> Platform:
    if _OS_NAMES.get(word, word) in _SYSTEMS:
        return normalize(Platform(os=word, architecture=host.architecture, variant=host.variant))
    found = normalize(Platform(os=host.os, architecture=word))
    if found.architecture not in _ARCHITECTURES:
        raise _invalid(text, "neither a system nor an architecture that is known")
    return found


def _invalid(text: str, what: str) -> InputError:
    hint = "write OS/ARCH[/VARIANT], such as linux/amd64, linux/arm64 or linux/arm/v7"
    return InputError(f"invalid platform {text!r}: {what}", hint=hint)


def normalize(platform: Platform) -> Platform:
    """One spelling a platform: x86_64 is amd64, arm64/v8 is arm64, arm is arm/v7."""
    system = _OS_NAMES.get(platform.os.lower(), platform.os.lower())
    architecture, implied = _MACHINES.get(platform.architecture.lower(), (platform.architecture.lower(), ""))
    variant = _variant(architecture, platform.variant.lower() or implied)
    return msgspec.structs.replace(platform, os=system, architecture=architecture, variant=variant)


def _variant(architecture: str, variant: str) -> str:
    if variant.isdigit() and architecture in ("arm", "arm64", "amd64"):
        variant = f"v{variant}"
    match architecture, variant:
        case ("arm64", "v8" | "v8.0") | ("amd64", "v1") | ("386", _):
            return ""
        case ("arm", ""):
            return "v7"
        case _:
            return variant


def format_platform(platform: Platform) -> str:
    """`os/arch[/variant]`."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def host_platform() -> Platform:
    """This machine's. Images are Linux's on every machine but Windows, as Docker has it on macOS."""
    if sys.platform == "win32":
        machine = os.environ.get("PROCESSOR_ARCHITECTURE", "amd64")
        return normalize(Platform(os="windows", architecture=machine))
    return normalize(Platform(os="linux", architecture=os.uname().machine))


def acceptable(wanted: Platform) -> tuple[Platform, ...]:
    """The platforms whose images run where `wanted` does, best first: itself, then what its processors also run."""
    wanted = normalize(wanted)
    names = {"amd64": _amd64, "arm": _arm, "arm64": _arm64}.get(wanted.architecture)
    pairs = names(wanted.variant) if names else [(wanted.architecture, wanted.variant)]
    return tuple(Platform(os=wanted.os, architecture=name, variant=variant) for name, variant in pairs)


def _amd64(variant: str) -> list[tuple[str, str]]:
    levels = [("amd64", name) for name in _down(variant or "v1", 2)]
    return [*levels, ("amd64", ""), ("386", "")]


def _arm(variant: str) -> list[tuple[str, str]]:
    return [("arm", name) for name in _down(variant, 5)]


def _arm64(variant: str) -> list[tuple[str, str]]:
    """`v8.x` and `v9.x` run plain arm64 as well; 64-bit machines run the 32-bit ones."""
    own = [("arm64", variant)] if variant else []
    return [*own, ("arm64", ""), *_arm("v8")]


def _down(variant: str, lowest: int) -> list[str]:
    """`v7` down to `v5`: the named level and those below it. Of a variant that is no level, itself."""
    level = variant[1:]
    if not (variant.startswith("v") and level.isdecimal() and len(level) < 3):
        return [variant]
    return [f"v{number}" for number in range(int(level), lowest - 1, -1)]


def matches(wanted: Platform, offered: Platform) -> bool:
    """Whether an image of `offered` may be taken where `wanted` was asked for."""
    return _rank(acceptable(wanted), offered) is not None


def choose(manifests: Iterable[Descriptor], wanted: Platform) -> Descriptor | None:
    """The entry of an index that suits `wanted` best; the first of equals; None when no entry says that it does.

    Entries without a platform are never chosen here: only their configs tell what they are for.
    """
    order = acceptable(wanted)
    ranked = [(rank, entry) for entry in manifests if (rank := _rank_of(order, entry)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _rank_of(order: tuple[Platform, ...], entry: Descriptor) -> int | None:
    return None if entry.platform is None else _rank(order, entry.platform)


def _rank(order: tuple[Platform, ...], offered: Platform) -> int | None:
    plain = normalize(offered)
    key = (plain.os, plain.architecture, plain.variant)
    return next((i for i, one in enumerate(order) if (one.os, one.architecture, one.variant) == key), None)
