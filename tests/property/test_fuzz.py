"""Dockerfiles with something broken in them: the parser answers each with a tree or with its own error.

Quicker by far than Hypothesis, and so run over many more: `JETTISON_FUZZ` is how many; `scripts/soak` sets a million.
"""

import os
import random

import pytest
from dockerfiles import FLAGS, HEREDOCS, JSON, KEYWORDS, WORDS, dockerfile

from jettison.base.errors import DockerfileError
from jettison.base.span import Source
from jettison.syntax.parse import parse_dockerfile

CASES = int(os.environ.get("JETTISON_FUZZ", "3000"))
PART = 25_000  # texts a test: several processes share them
PIECES = [
    *WORDS,
    *FLAGS,
    *JSON,
    *HEREDOCS,
    *(f"\n{keyword} " for keyword in KEYWORDS),
    *(
        "\\\n",
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "`\n",
        "\x00",
        "\x0b",
        "\u00a0",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\U0001f680",
    ),
    *(
        "$",
        "${",
        "}",
        "${a:",
        "${a#",
        "${a//",
        "${a:?",
        '"',
        "'",
        "\\",
        "[",
        "[[",
        '["',
        "{",
        "#",
        "# escape=`\n",
        "<<",
    ),
    *(
        "\U0001f680",
        "EOF\n",
        "\nEOF",
        "ONBUILD ",
        "--",
        "--mount=",
        "type=bind,",
        ",",
        "=",
        "HEALTHCHECK --interval=",
        "9" * 5000,
    ),
]


def broken(seed: int) -> str:
    """A Dockerfile with up to four wounds; the same seed gives the same text."""
    dice = random.Random(seed)
    text = dockerfile(seed)
    for _ in range(dice.choice((1, 1, 2, 4))):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.choice((0, 0, 1, 3, 20)))
        piece = dice.choice(PIECES) if dice.random() < 0.7 else text[dice.randrange(len(text) + 1) :][:40]
        text = text[:start] + piece + text[end:]
    return text


@pytest.mark.parametrize("first", range(0, CASES, PART))
def test_the_parser_raises_nothing_but_its_own_error(first: int) -> None:
    for seed in range(first, min(first + PART, CASES)):
        text = broken(seed)
        try:
            parse_dockerfile(Source("Dockerfile", text))
        except DockerfileError:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {text!r}") from error
