"""Digests: always `sha256:` and 64 hex digits, always of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import hashlib

EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SMALL_BYTES = 1 << 15  # so much is hashed sooner than OpenSSL is loaded, which takes 3 ms
_HEX = frozenset("0123456789abcdef")


def _built_in() -> Any:
    """Python's own sha256, by its names from 3.12 on and before; None where a distributor left it out."""
    for name in ("_sha2", "_sha256"):
        try:
            return __import__(name).sha256
        except ImportError:
            continue
    return None


_small = _built_in()


def digest_of(data: bytes) -> str:
    """The digest of `data`."""
    made = _small(data) if _small is not None and len(data) < SMALL_BYTES else running(data)
    return f"sha256:{made.hexdigest()}"


def running(data: bytes | memoryview = b"", *, expected_bytes: int = SMALL_BYTES) -> hashlib._Hash:
    """A sha256 that goes on from `data`: hashlib's, which is fast on large data and takes time to load; Python's own
    where little is expected.
    """
    if expected_bytes < SMALL_BYTES and _small is not None:
        small: hashlib._Hash = _small(data)
        return small
    import hashlib

    return hashlib.sha256(data)


def hex_of(digest: str) -> str:
    """The 64 hex digits of a digest. Raises ValueError for anything that is not one (a digest names a path)."""
    if not is_digest(digest):
        raise ValueError(f"not a sha256 digest: {digest!r}")
    return digest[7:]


def is_digest(text: str) -> bool:
    """Whether `text` has exactly the form of a sha256 digest."""
    return len(text) == 71 and text.startswith("sha256:") and _HEX.issuperset(text[7:])
