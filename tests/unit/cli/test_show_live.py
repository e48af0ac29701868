"""The live view shows lines of programs that it knows nothing about."""

import pytest

from jettison.cli.show_live import harmless


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain ünïcode", "plain ünïcode"),
        ("\x1b[1;31mred\x1b[0m and not", "red and not"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("up \x1b[9A\x1b[2Kand away", "up and away"),
        ("\x1b]0;a title\x07text", "text"),
        ("a\tb", "a       b"),
        ("bell\a, back\b, torn \x1b[", "bell, back, torn ["),
        ("\ufffd\ufffd", "\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_a_line_neither_colours_nor_moves(line: str, shown: str) -> None:
    assert harmless(line) == shown
