"""Digests: always `sha256:` and 64 hex digits, always of bytes."""

from __future__ import annotations

import hashlib

EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_HEX = frozenset("0123456789abcdef")


def digest_of(data: bytes) -> str:
    """The digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hex_of(digest: str) -> str:
    """The 64 hex digits of a digest. Raises ValueError for anything that is not one (a digest names a path)."""
    if not is_digest(digest):
        raise ValueError(f"not a sha256 digest: {digest!r}")
    return digest[7:]


def is_digest(text: str) -> bool:
    """Whether `text` has exactly the form of a sha256 digest."""
    return len(text) == 71 and text.startswith("sha256:") and _HEX.issuperset(text[7:])
