"""Sizes and spans of time as people write them."""

import pytest

from jettison.base.amounts import parse_size, parse_span


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1b", 1),
        ("10GB", 10 << 30),
        ("10g", 10 << 30),
        ("10 GiB", 10 << 30),
        ("1.5k", 1536),
        ("2TB", 2 << 40),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "10XB", "1e9", "ten", "10 G B", "٣GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size such as 10GB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("24h", 86_400), ("1h30m", 5400), ("7d", 604_800), ("0s", 0), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_spans(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "1y", "24h ", "-1h", "24h5"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as 24h"):
        parse_span(text)
