"""Says hello, and how large the program's own source is, so that the dependency has something to do."""

import os

import humanize


def main() -> None:
    size_bytes = os.path.getsize(__file__)
    print(f"hello from a wheel of {humanize.naturalsize(size_bytes)} as uid {os.getuid()}")
