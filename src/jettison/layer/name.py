"""What compresses, by name and version: part of what a packed layer is remembered by. Light at import."""

from __future__ import annotations


def compressor_name(compression: str) -> str:
    """As in `isal 1.9.1 level 1 lead 8`; "" where nothing is compressed. Another name may mean other bytes."""
    if compression == "gzip":
        import isal

        return f"isal {isal.__version__} level 1 lead 8"
    if compression == "zstd":
        from jettison.layer.zstd import zstd_version

        return f"zstd {zstd_version()} level 3"
    return ""
