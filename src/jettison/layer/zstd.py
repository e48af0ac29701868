"""zstd: the one place that imports it, from the standard library or its backport (decision 11)."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 3
_WINDOW_LOG = 27  # 128 MiB, what the zstd program itself accepts

ZstdError = zstd.ZstdError


def zstd_version() -> str:
    """Of the zstd library."""
    return str(zstd.zstd_version)


def zstd_decoder() -> Any:
    """An object that decompresses one frame, with bz2's interface. Raises ZstdError for more than 128 MiB of window."""
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


def zstd_frame(data: Any) -> bytes:
    """A whole frame of `data`; frames may follow each other."""
    return zstd.compress(data, level=_LEVEL)
