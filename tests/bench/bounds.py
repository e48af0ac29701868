"""What bounds the workloads whose targets may be missed, shown in docs/benchmarks.md only where one is."""

from __future__ import annotations

_FILES = (
    "The kernel's work for each file bounds it: to open, make, write and stamp one, in a directory whose journal is "
    "shared. The floor beside it, which knows no rules and keeps no cache, is the same work by a C program."
)
_TAR = (
    "Reading every file once and pressing it bounds it, for whoever does it: sha256 and gzip's DEFLATE (isal's, in C) "
    "run beside each other in threads, as many as there are processors."
)
TEXTS = {
    "noop": (
        "Python bounds it: before the first line of the Dockerfile is read the interpreter starts and imports what "
        "this path needs (the difference of the two figures below), while docker's client asks a daemon that is there."
    ),
    "noop-context": "A stat for every file of the context bounds it, beside the start of Python.",
    "steps": "A mount for each RUN, a fork into new namespaces, the reading back of what it wrote, a layer's digest.",
    "copy": _FILES,
    "copy-from": f"{_FILES} {_TAR}",
    "edit": _TAR,
    "export": _TAR,
    "lazy": (
        "COPY must know what is at its destination: the base's layers are fetched, summed and inflated, once, and no "
        "more is done with them (decision 20). That is a processor's work."
    ),
    "fan-out": (
        "The stages sleep beside each other, for a second that nobody can shorten: what is left is the start of the "
        "sandboxes, and eight copies."
    ),
    "pull": "Inflating and unpacking, file by file: the download itself is from this machine.",
    "cutoff": "The step that runs again, its layer's digest, and the start of Python.",
}
