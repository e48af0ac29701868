"""What the workloads build from: contexts and images, the same bytes every time."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from bases.layout import Image, Layer
from bases.machine import architecture

FILES, FILES_BYTES = 12_000, 230_000_000
_DIRECTORIES = 40  # files a directory
_WORDS = [f"word{number} " for number in range(4000)]


def write_dockerfile(context: str, text: str) -> None:
    """The Dockerfile of a context, which is made."""
    os.makedirs(context, exist_ok=True)
    with open(os.path.join(context, "Dockerfile"), "w", encoding="utf-8") as file:
        file.write(text)


def file_name(number: int) -> str:
    """Where file number so-and-so lies below the tree."""
    group = number // _DIRECTORIES
    return f"d{group % 20:02}/e{group // 20:02}/f{number:05}.txt"


def write_tree(tree: str, count: int = FILES, total: int = FILES_BYTES) -> None:
    """`count` files of `total` bytes in all: most are small and a few are not, half text and half noise."""
    chance = random.Random(count)
    shares = [chance.lognormvariate(0, 1) for _ in range(count)]
    scale = total / sum(shares)
    for number, share in enumerate(shares):
        path = os.path.join(tree, file_name(number))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content(chance, int(share * scale)))


def content(chance: random.Random, size: int) -> bytes:
    """Bytes of which the first half is text and the rest noise."""
    text = "".join(chance.choices(_WORDS, k=size // 16 + 1)).encode()[: size // 2]
    return text + chance.randbytes(size - len(text))


def write_half(path: str, size: int) -> None:
    """A file that is half compressible, in turns of 64 KiB."""
    chance = random.Random(size)
    with open(path, "wb") as file:
        file.writelines(content(chance, 128 << 10) for _ in range(size // (128 << 10)))


def image(directory: str, layers: int, layer_bytes: int, name: str, *, on: Callable[[Layer], None]) -> str:
    """An image of that many layers (the first has what `on` adds, too) as a layout at `directory`."""
    os.makedirs(directory)
    made = Image(directory, architecture())
    for number in range(layers):
        layer = Layer(f"layer {number}")
        chance = random.Random(number)
        if number == 0:
            on(layer)
        left, files = layer_bytes, 0
        while left > 0:
            size = min(left, int(chance.lognormvariate(0, 1) * 12_000))
            layer.directory(f"usr/share/{name}{number}/d{files // _DIRECTORIES}")
            layer.file(f"usr/share/{name}{number}/d{files // _DIRECTORIES}/f{files}", content(chance, size))
            left -= size
            files += 1
        made.layer(layer)
    made.finish(name, {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]})
    return directory
