"""Versions of what lies on disk, where several floors must agree on them."""

from __future__ import annotations

STORE_VERSION = 1  # of a store and of the snapshots in it: a change of either raises it
