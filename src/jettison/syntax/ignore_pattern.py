"""One ignore pattern as an expression: `*`, `?`, `[a-z]`, the backslash, and `**` for any depth. Reference §1.10."""

from __future__ import annotations

import re

import msgspec

from jettison.base.errors import InputError
from jettison.syntax import glob
from jettison.syntax.blanks import SPACES
from jettison.syntax.cleanpath import clean
from jettison.syntax.regex import lazy

_WILD = lazy(r"[*?\[\]\\]")
_PIECES = lazy(r"(?:\\.|[^\\*]|\*(?!\*))+|\*\*/?", re.DOTALL)
_DEPTH = r"(?:[^/]*/)*?"  # any number of components, each with its `/`


# What `Pattern.match` is compared with.
PATH = "path"  # a whole path, as it is
NAME = "name"  # the last component, as it is
PATH_WILD = "path, as an expression"
NAME_WILD = "name, as an expression"


class Pattern(msgspec.Struct, frozen=True):
    """`text` is cleaned, without its `!`; `shows`: it had one. `match` is a text or an expression, as `kind` says."""

    text: str
    shows: bool
    kind: str
    match: str

    def reaches_below(self, directory: list[str]) -> bool:
        """Whether this pattern could match something below the directory with these components."""
        parts = self.text.split("/")
        for number, name in enumerate(directory):
            if number >= len(parts):
                return False  # it can match the directory or its parents, which have their verdict already
            part = parts[number]
            if "**" in part:
                return True
            if part != name and (self.kind == PATH or not glob.match(part, name)):
                return False
        return len(parts) > len(directory)


def compile_pattern(text: str) -> Pattern:
    """A pattern, with `!` or without. Raises InputError for one that means nothing."""
    text = text.strip(SPACES)
    shows = text.startswith("!")
    body = text[1:].strip(SPACES) if shows else text
    if shows and not body:
        raise InputError('illegal exclusion pattern: "!"', hint="name what is to be kept behind the `!`")
    body = clean(body) if body else ""
    if not _WILD.search(body):
        return Pattern(body, shows, PATH, body or "\0")  # what no path can be
    glob.regex_of(body)  # malformed patterns end here
    name = body[3:]
    if body.startswith("**/") and "/" not in name and "**" not in name:
        wild = _WILD.search(name) is not None
        return Pattern(body, shows, NAME_WILD if wild else NAME, glob.regex_of(name) if wild else name)
    return Pattern(body, shows, PATH_WILD, _regex(body))


def _regex(body: str) -> str:
    """The pattern's expression. `**` takes any number of components, and at the end whatever follows."""
    if body.startswith("**") and not _WILD.search(body[2:]):
        # The reference builder compares the end of the path here: `**x` takes `ax` too.
        return f"{_DEPTH}{re.escape(body[3:])}" if body.startswith("**/") else f".*{re.escape(body[2:])}"
    expression = ""
    within_depth = False
    for piece in _PIECES.findall(body):
        if piece.startswith("**"):
            within_depth = True
            continue
        regex = glob.regex_of(piece)
        if within_depth:
            # Whole components behind a `**`: their earliest place loses no match, so no pattern can be slow.
            regex = f"(?>{_DEPTH}{regex})" if piece.endswith("/") else _DEPTH + regex
        within_depth = False
        expression += regex
    return expression + (".*" if within_depth else "")
