"""The grammar of `# check=` directives and comments, and of BUILDKIT_DOCKERFILE_CHECK. Reference §1.1, §1.12."""

from __future__ import annotations

import msgspec

ALL = "all"

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


class CheckOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules run, and whether a finding fails the build. A set that holds `all` names every rule."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def runs(self, name: str, *, experimental: bool) -> bool:
        """Whether a rule runs. Experimental ones are not skipped, only never asked for."""
        if experimental:
            return name in self.experimental or ALL in self.experimental
        return name not in self.skip and ALL not in self.skip


def parse_options(text: str) -> CheckOptions:
    """`skip=A,B|all;error=true;experimental=A|all`, in any order; what follows `//` is a remark.

    Raises ValueError for an unknown key, a part without `=`, and a truth value that is none. Unknown names of rules are
    taken: another version may know them.
    """
    given: dict[str, str] = {}
    for part in text.partition("//")[0].split(";"):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key and not equals:
            continue
        if not equals or key not in {"skip", "error", "experimental"}:
            raise ValueError(f'invalid check option "{part.strip()}"')
        given[key] = value
    return CheckOptions(
        skip=_names(given.get("skip", "")),
        experimental=_names(given.get("experimental", "")),
        error=_truth(given.get("error", "false")),
    )


def comment_options(comments: tuple[str, ...]) -> CheckOptions | None:
    """What the comments right above an instruction say about it, merged; None when they say nothing.

    A comment that begins like one and makes no sense is a comment.
    """
    found: CheckOptions | None = None
    for comment in comments:
        key, equals, value = comment.partition("=")
        if equals and key.strip().lower() == "check":
            try:
                options = parse_options(value)
            except ValueError:
                continue
            found = options if found is None else msgspec.structs.replace(found, skip=found.skip | options.skip)
    return found


def _names(text: str) -> frozenset[str]:
    return frozenset(name for part in text.split(",") if (name := part.strip()))


def _truth(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'failed to parse check option "error={text}": it is true or false')
