"""--chmod: an octal mode, or symbolic clauses such as `u=rwX,go-w`, applied with umask 0. Reference §1.6."""

from __future__ import annotations

from collections.abc import Callable

from jettison.base.errors import InputError
from jettison.syntax.regex import lazy

_CLAUSE = lazy(r"([ugoa]*)((?:[-+=](?:[rwxXst]+|[ugo]|))+)")
_ACTION = lazy(r"([-+=])([ugo]|[rwxXst]*)")
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o0007}  # setuid belongs to the user, setgid to the group
_STICKY = 0o1000
_ALL = 0o7777 & ~_STICKY
_LETTERS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": _STICKY}
_SHIFT = {"u": 6, "g": 3, "o": 0}

Chmod = Callable[[int, bool], int]
"""What becomes of a mode; the second argument says whether it is a directory's."""


def octal_mode(text: str) -> int | None:
    """The mode that `text` gives in octal; None when it is no octal number up to 07777."""
    if not text or not set(text) <= set("01234567") or len(text) > 20:
        return None
    value = int(text, 8)
    return value if value <= 0o7777 else None


def parse_chmod(text: str) -> Chmod:
    """What --chmod `text` does to a mode. Raises InputError for what is neither octal nor symbolic."""
    octal = octal_mode(text)
    if octal is not None:
        return lambda _mode, _is_dir: octal
    clauses = [_CLAUSE.fullmatch(part) for part in text.split(",")]
    if not all(clauses):
        raise InputError(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
            hint="or symbolic, such as u=rwX,go=rX",
        )
    actions = [
        (_who(clause[1]), action[1], action[2])
        for clause in clauses
        if clause
        for action in _ACTION.finditer(clause[2])
    ]

    def apply(mode: int, is_dir: bool) -> int:
        runs = is_dir or bool(mode & 0o111)
        for who, sign, letters in actions:
            bits = _bits(letters, mode, runs) & (who | _STICKY)
            if sign == "-":
                mode &= ~bits
            else:
                mode = (mode & ~who if sign == "=" else mode) | bits
        return mode

    return apply


def _who(letters: str) -> int:
    """The bits that a clause may touch; without letters, all."""
    if not letters or "a" in letters:
        return _ALL
    return sum(_WHO[letter] for letter in set(letters))


def _bits(letters: str, mode: int, runs: bool) -> int:
    """The bits of `rwxXst`, for everybody; or those that user, group or others have now. `runs` decides about X."""
    if letters in _SHIFT and letters:
        return (mode >> _SHIFT[letters] & 0o7) * 0o111
    bits = 0
    for letter in letters:
        bits |= _LETTERS.get(letter, 0o111 if runs else 0)
    return bits
