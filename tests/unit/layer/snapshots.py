"""Snapshots made by hand: rows and bytes in, a directory with head, manifest and files out."""

import os

from jettison.tree.manifest import Head, write_head, write_rows
from jettison.tree.row import DIR, FILE, Row

ROOT = Row("", DIR, 0o755, implied=True)


def snapshot(directory, rows, contents=None, **head):
    """A snapshot at `directory`. Files hold `contents` by path, else as many `x` as their size says."""
    os.makedirs(os.path.join(directory, "files"))
    for row in rows:
        at = os.path.join(directory, "files", row.path)
        if row.type == DIR:
            os.makedirs(at, exist_ok=True)
        elif row.type == FILE:
            os.makedirs(os.path.dirname(at), exist_ok=True)
            with open(at, "wb") as file:
                file.write((contents or {}).get(row.path, b"x" * row.size))
    write_rows(str(directory), rows if any(not row.path for row in rows) else [ROOT, *rows])
    write_head(str(directory), Head(**head))
    return str(directory)
