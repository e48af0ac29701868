"""What the machine itself needs for the bytes of a workload, with no builder at all."""

from __future__ import annotations

import os
import shutil

from bench import meter

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def seconds(kind: str, context: str, folder: str) -> tuple[str, float] | None:
    """The commands in words, and the wall seconds that they take; None for a workload without files."""
    tree, large, copy = (os.path.join(context, "tree"), os.path.join(context, "large"), os.path.join(folder, "floor"))
    archive = f"{copy}.tar"
    commands = {
        "copy": [["cp", "-a", tree, copy]],
        "pack": [["tar", "-C", context, "-cf", copy, "tree"], ["sha256sum", copy]],
        "copy-pack": [["cp", "-a", tree, copy], ["tar", "-C", context, "-cf", archive, "tree"], ["sha256sum", archive]],
        "sum-large": [["sha256sum", large], ["cp", large, copy]],
    }.get(kind)
    if commands is None:
        return None
    took = meter.run(commands, _ENVIRONMENT, os.path.join(folder, "floor-log")).wall_s
    for path in (copy, archive):
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
    return " + ".join(command[0] if command[0] != "cp" else "cp -a" for command in commands), took
