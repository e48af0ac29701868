"""Did you mean: the nearest of a few known names."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option that a slip of the fingers most likely turned into `word`, or None. Case does not count."""
    lowered = word.lower()[:64]
    best: str | None = None
    least = 2 if len(lowered) <= 3 else 3  # distances from here on are no slip
    for option in options:
        if abs(len(option) - len(lowered)) < least:
            far = distance(lowered, option.lower())
            if far < least:
                best, least = option, far
    return best


def did_you_mean(word: str, options: Iterable[str], prefix: str = "") -> str | None:
    """A hint that names the closest option, or None when nothing is close."""
    best = closest(word, options)
    return f"did you mean {prefix}{best}?" if best is not None else None


def distance(left: str, right: str) -> int:
    """How many characters have to be put in, left out, changed, or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row = row, [i]
        for j, b in enumerate(right, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]
