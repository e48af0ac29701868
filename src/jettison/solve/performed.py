"""Where steps stand, and what those yielded that were not known by definition.

Values alone, apart from what performs a step: in most builds there is none to perform.
"""

from __future__ import annotations

import msgspec

from jettison.planning import ops
from jettison.solve.key import EMPTY_TREE
from jettison.solve.ports import Key, Result

EMPTY = Result(id=EMPTY_TREE)


class Performed(msgspec.Struct, frozen=True, kw_only=True):
    """What a step yielded, and how: `hit` "" ran, content, or equal-bytes (it ran, and yielded what was there).

    `key` is its definition key.
    """

    result: Result
    key: Key
    hit: str = ""
    reason: str = ""
    duration_ms: float = 0.0


class Site(msgspec.Struct, frozen=True):
    """Where a step stands: its project (a context, on one platform) and its name there."""

    scope: str
    platform: str
    name: str

    @property
    def project(self) -> str:
        """What the texts of the sites of one context on one platform begin with."""
        return f"{self.scope} {self.platform}#"

    @property
    def stage(self) -> str:
        """What the texts of one stage's sites there begin with."""
        return f"{self.project}{self.name.rpartition('.')[0]}."

    def text(self) -> str:
        """As the cache has it."""
        return self.project + self.name

    def is_elsewhere(self, text: str) -> bool:
        """Whether that is a site of this context on another platform."""
        return text.startswith(f"{self.scope} ") and not text.startswith(self.project)


def place_of(site: str) -> str:
    """A site's text without its scope: the platform and the step, which other machines have, too."""
    return site[site.rfind(" ", 0, max(site.rfind("#"), 0)) + 1 :]


def is_source(op: ops.AnyOp) -> bool:
    """Whether the op brings a tree from elsewhere: its results are found by what it is, and never forced."""
    return isinstance(op, (ops.ImageOp, ops.HttpOp, ops.GitOp, ops.ScratchOp))
