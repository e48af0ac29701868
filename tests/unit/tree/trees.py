"""Trees as short text, to be made and to be compared: `{"etc/": "755 0:0", "etc/f": "644 1:2 bytes", "l": "-> f"}`.

A directory's name ends in `/`. What is left out is the usual: 755 or 644, 0:0, no bytes. More: `dev c 1:3`, `fifo`,
`= other` (a hard link of that path), `gone` (a whiteout).
"""

import os
import stat

from jettison.tree.disk import Disk
from jettison.tree.manifest import Head, read_rows, write_head, write_rows
from jettison.tree.row import CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row, order

DISK = Disk("trusted" if os.geteuid() == 0 else "user")
TIME_NS = 1_500_000_000 * 10**9
KINDS = {
    "f": stat.S_ISREG,
    "d": stat.S_ISDIR,
    "l": stat.S_ISLNK,
    "p": stat.S_ISFIFO,
    "c": stat.S_ISCHR,
    "-": stat.S_ISCHR,
}


def row_of(name, text):
    """One path as a row, and its bytes. Symlinks are 777."""
    path = name.rstrip("/")
    if text == "gone":
        return Row(path, DELETED), b""
    if text.startswith("-> "):
        owner, _, target = text[3:].rpartition(" ")
        uid, gid = _owner(owner or "0:0")
        return Row(path, SYMLINK, 0o777, uid, gid, mtime_ns=TIME_NS, target=target), b""
    words = text.split(" ", 2)
    mode = int(words[0], 8) if words[0] else 0o755 if name.endswith("/") else 0o644
    uid, gid = _owner(words[1]) if len(words) > 1 else (0, 0)
    rest = words[2] if len(words) > 2 else ""
    if name.endswith("/"):
        return Row(path, DIR, mode, uid, gid, mtime_ns=TIME_NS, opaque=rest == "opaque"), b""
    if rest == "fifo":
        return Row(path, FIFO, mode, uid, gid, mtime_ns=TIME_NS), b""
    if rest.startswith("dev c "):
        return Row(path, CHAR, mode, uid, gid, mtime_ns=TIME_NS, device=_owner(rest[6:])), b""
    data = rest.encode()
    return Row(path, FILE, mode, uid, gid, len(data), TIME_NS), data


def _owner(text):
    uid, _, gid = text.partition(":")
    return int(uid), int(gid)


def rows_of(tree):
    """All rows in order, missing parents made up, hard links grouped; and the bytes by path."""
    tree = dict(tree)
    for name in list(tree):
        parts = name.rstrip("/").split("/")
        for length in range(1, len(parts)):
            tree.setdefault("/".join(parts[:length]) + "/", "")
    rows, data, groups = {"": Row("", DIR, 0o755)}, {}, {}
    for name, text in tree.items():
        if not text.startswith("= "):
            row, content = row_of(name, text)
            rows[row.path], data[row.path] = row, content
    for name, text in tree.items():
        if text.startswith("= "):
            groups.setdefault(text[2:], [text[2:]]).append(name)
    for first, names in groups.items():
        for name in names:
            old = rows[first]
            data[name] = data[first]
            rows[name] = Row(
                name, FILE, old.mode, old.uid, old.gid, old.size, old.mtime_ns, xattrs=old.xattrs, link=min(names)
            )
    return sorted(rows.values(), key=lambda row: order(row.path)), data


def snapshot(directory, tree):
    """The tree as a snapshot at `directory`; its path."""
    files = os.path.join(directory, "files")
    os.makedirs(files)
    rows, data = rows_of(tree)
    write_tree(files, rows, data)
    write_rows(str(directory), rows)
    write_head(str(directory), Head())
    return str(directory)


def directory(path, tree):
    """The tree as an ordinary directory at `path`, with owners and times if we may; its path."""
    os.makedirs(path)
    rows, data = rows_of(tree)
    write_tree(str(path), rows, data)
    return str(path)


def write_tree(files, rows, data):
    for row in rows:
        at = os.path.join(files, row.path)
        if row.link and row.link != row.path:
            os.link(os.path.join(files, row.link), at)
        elif row.type == FILE:
            with open(at, "wb") as file:
                file.write(data[row.path])
            DISK.finish_path(at, row)
        elif row.path:
            DISK.create(at, row)
    for row in reversed(rows):
        if row.type == DIR and row.path:
            DISK.finish_path(os.path.join(files, row.path), row)


def shown(snapshot_dir, *, implied=False):
    """What a snapshot changes, in the same short text."""
    found = {}
    for row in read_rows(snapshot_dir):
        if row.implied and not implied:
            continue
        found[row.path + "/" if row.type == DIR else row.path] = _text(
            row, os.path.join(snapshot_dir, "files", row.path)
        )
    return found


def _text(row, at):
    owner = f"{row.uid}:{row.gid}"
    if row.type == DELETED:
        return "gone"
    if row.link and row.link != row.path:
        return f"= {row.link}"
    if row.type == SYMLINK:
        return f"-> {row.target}" if owner == "0:0" else f"-> {owner} {row.target}"
    rest = ""
    if row.type == FILE and row.size:
        with open(at, "rb") as file:
            rest = file.read().decode()
    elif row.type == FIFO:
        rest = "fifo"
    elif row.type == CHAR:
        rest = f"dev c {row.device[0]}:{row.device[1]}"
    elif row.opaque:
        rest = "opaque"
    return f"{row.mode:o} {owner} {rest}".rstrip(" ")


def usual(tree):
    """A tree's text with everything that was left out filled in."""
    found = {}
    for name, text in tree.items():
        if text.startswith(("-> ", "= ")) or text == "gone":
            found[name] = text
            continue
        words = (text or ("755" if name.endswith("/") else "644")).split(" ", 2)
        found[name] = " ".join([*words, *["0:0"][: 2 - len(words)]])
    return found


def check_disk(snapshot_dir):
    """That files/ is what the manifest says, everything about it: an overlay shows the one, we read the other."""
    files = os.path.join(snapshot_dir, "files")
    rows = {row.path: row for row in read_rows(snapshot_dir)}
    there = {""}
    for at, directories, names in os.walk(files):
        there.update(os.path.relpath(os.path.join(at, name), files) for name in [*directories, *names])
    assert there == set(rows)
    for path, row in rows.items():
        status = os.lstat(os.path.join(files, path))
        assert KINDS[row.type](status.st_mode), path
        assert (status.st_uid, status.st_gid) == (row.uid, row.gid), path
        assert row.type == SYMLINK or stat.S_IMODE(status.st_mode) == row.mode, path
        assert row.type == DELETED or status.st_mtime_ns == row.mtime_ns, path
        if row.type == FILE:
            assert status.st_size == row.size, path
        if row.link:
            assert os.path.samefile(os.path.join(files, row.link), os.path.join(files, path)), path
