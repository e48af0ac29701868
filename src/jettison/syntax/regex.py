"""Regular expressions, compiled when first used: all of this floor's at import would be 5 ms of every start."""

from __future__ import annotations

import re
from typing import Any, cast


class _Lazy:
    """Stands for a compiled expression; each method is looked up once and kept."""

    def __init__(self, text: str, flags: int) -> None:
        self._made_of = (text, flags)

    def __getattr__(self, name: str) -> Any:
        method = getattr(re.compile(*self._made_of), name)
        setattr(self, name, method)
        return method


def lazy(text: str, flags: int = 0) -> re.Pattern[str]:
    """The expression, not yet compiled."""
    return cast("re.Pattern[str]", _Lazy(text, flags))
