"""A node as one line of text: `file 0644 5:7 @1000000000 = text`, `symlink -> target`, `hardlink == path`."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

TYPES = ("file", "dir", "symlink", "hardlink", "fifo", "char", "block")
_BODY = re.compile(r" (==|=|->)(?: |$)")


class Node(NamedTuple):
    """What a line says; None is what it does not say. `link` is a symlink's target or a hard link's other name."""

    type: str
    mode: int | None = None
    owner: tuple[int, int] | None = None
    mtime: int | None = None
    device: tuple[int, int] | None = None
    text: str | None = None
    link: str | None = None
    xattrs: dict[str, str] | None = None


def parse(line: str) -> Node:
    """The node of a line. Raises ValueError."""
    body = _BODY.search(line)
    kind, *words = (line[: body.start()] if body else line).split()
    if kind not in TYPES:
        raise ValueError(f"no type of file: {line!r}")
    said: dict[str, object] = {}
    for word in words:
        _read(word, line, said)
    if body:
        said["text" if body[1] == "=" else "link"] = line[body.end() :]
    return Node(kind, **said)  # type: ignore[arg-type]


def plain(said: Node) -> dict[str, Any]:
    """What a node says, in the form of `images.plain`: type, mode, owner, content and link; nothing of the rest."""
    found: dict[str, Any] = {"type": said.type}
    if said.mode is not None:
        found["mode"] = f"{said.mode:04o}"
    if said.owner is not None:
        found["uid"], found["gid"] = said.owner
    if said.text is not None:
        data = said.text.encode("utf-8", "surrogateescape")
        found |= {"size": len(data), "digest": "sha256:" + hashlib.sha256(data).hexdigest()}
    if said.link is not None:
        found["link"] = said.link
    return found


def _read(word: str, line: str, said: dict[str, object]) -> None:
    if re.fullmatch(r"[0-7]{4}", word):
        said["mode"] = int(word, 8)
    elif re.fullmatch(r"[0-9]+:[0-9]+", word):
        said["owner"] = tuple(map(int, word.split(":")))
    elif re.fullmatch(r"@[0-9]+", word):
        said["mtime"] = int(word[1:])
    elif re.fullmatch(r"[0-9]+,[0-9]+", word):
        said["device"] = tuple(map(int, word.split(",")))
    elif word.startswith("xattr.") and "=" in word:
        name, _, value = word.removeprefix("xattr.").partition("=")
        said["xattrs"] = {**(said.get("xattrs") or {}), name: value}  # type: ignore[dict-item]
    else:
        raise ValueError(f"{word!r} is not understood: {line!r}")
