"""USER and --chown: names and numbers, looked up in a tree's passwd and group files. Reference §1.6 and §1.8."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jettison.base.errors import InputError
from jettison.tree.row import FILE
from jettison.tree.view import View, resolve

MAX_ID = 2**31 - 1
MAX_FILE_BYTES = 32 << 20


class Identity(msgspec.Struct, frozen=True):
    """Who a process is. `groups` are supplementary, as the group file lists them; `home` is "/" when nobody says."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


class _User(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def needs_names(text: str) -> bool:
    """Whether --chown or WORKDIR's `text` can only be understood with the tree's passwd or group file."""
    return any(_fixed_id(part) is None for part in text.split(":", 1))


def chown_ids(view: View, text: str) -> tuple[int, int]:
    """What --chown (or WORKDIR's USER) `text` means: `u`, `u:g`, names or numbers; a number alone is the group, too.

    An unknown name is 0, and a user's name alone brings its primary group (reference §1.6: no error). Raises InputError
    for a name where there is no tree at all, and for a number that is no id.
    """
    user, colon, group = text.partition(":")
    if needs_names(text) and getattr(view, "empty", False):
        raise InputError(
            f"invalid user index: -1 (chown to {text!r} on an empty stage)", hint="there is no /etc/passwd: use numbers"
        )
    uid = gid = 0
    fixed = _fixed_id(user)
    if fixed is not None:
        uid = gid = fixed
    else:
        found = next((entry for entry in _users(view) if entry.name == user), None)
        if found is not None:
            uid, gid = found.uid, found.gid
    if colon:
        fixed = _fixed_id(group)
        named = (entry.gid for entry in _groups(view) if entry.name == group)
        gid = fixed if fixed is not None else next(named, gid)
    return uid, gid


def user_of(view: View, text: str) -> Identity:
    """Who USER `text` is when a process starts (reference §1.8); "" is root.

    A name, or a number that the passwd file knows, brings its primary group and, without `:group`, the groups that
    list it. An unknown number has group 0. Raises InputError for an unknown name.
    """
    user, colon, group = text.partition(":")
    uid, gid = _number(user), _number(group)
    if uid is not None and gid is not None:
        return Identity(uid, gid, (), _home(view, uid))
    wanted = user or "0"
    number = 0 if not user else uid
    entry = next(
        (e for e in _users(view) if (e.uid == number if number is not None else e.name == wanted)),
        None,
    )
    if entry is None and number is None:
        raise InputError(
            f"unable to find user {wanted}: no matching entries in passwd file",
            hint="make the user in an earlier RUN, or use a number",
        )
    found_uid = entry.uid if entry is not None else number or 0
    found_gid = entry.gid if entry is not None else 0
    groups: tuple[int, ...] = ()
    if colon and group:
        found_gid = _group_id(view, group, gid)
    elif entry is not None:
        groups = tuple(g.gid for g in _groups(view) if entry.name in g.members)
    return Identity(found_uid, found_gid, groups, _home(view, found_uid))


def _group_id(view: View, text: str, number: int | None) -> int:
    if number is not None:
        return number
    found = next((entry.gid for entry in _groups(view) if entry.name == text), None)
    if found is None:
        raise InputError(
            f"unable to find group {text}: no matching entries in group file",
            hint="make the group in an earlier RUN, or use a number",
        )
    return found


def _home(view: View, uid: int) -> str:
    return next((entry.home for entry in _users(view) if entry.uid == uid), "") or "/"


def _fixed_id(text: str) -> int | None:
    """The id that --chown means without a look-up: a number, or root, which nothing means, too (`u:` and `:g`)."""
    return 0 if text in ("", "root") else _number(text)


def _number(text: str) -> int | None:
    """`text` as an id; None when it is none (a name). Raises InputError for a number that no id can be."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if text.startswith("-") or len(digits) > 20 or int(digits) > MAX_ID:
        raise InputError(f"uids and gids must be in range 0-{MAX_ID}: {text}")
    return int(digits)


def _users(view: View) -> Iterator[_User]:
    for fields in _lines(view, "etc/passwd"):
        name, _, uid, gid, _, home, *_ = [*fields, *[""] * 6]
        yield _User(name, _lenient(uid), _lenient(gid), home)


def _groups(view: View) -> Iterator[_Group]:
    for fields in _lines(view, "etc/group"):
        name, _, gid, members, *_ = [*fields, *[""] * 4]
        yield _Group(name, _lenient(gid), tuple(filter(None, members.split(","))))


def _lenient(text: str) -> int:
    """An id in a file of the image. What is no number counts as 0, as the reference builder has it."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= 2**32 - 2 else 0


def _lines(view: View, path: str) -> Iterator[list[str]]:
    """The fields of each line of a file of the tree; nothing when there is no such file."""
    real = resolve(view, path)
    row = view.row(real)
    if row is None or row.type != FILE:
        return
    if row.size > MAX_FILE_BYTES:
        raise InputError(f"/{path} of the image is larger than {MAX_FILE_BYTES} bytes")
    with open(view.open(real), "rb") as file:
        data = file.read(MAX_FILE_BYTES)
    for line in data.split(b"\n"):
        text = line.strip().decode("utf-8", "surrogateescape")
        if text and not text.startswith("#"):
            yield text.split(":")
