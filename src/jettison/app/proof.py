"""Snapshots that another boot of the machine left: what we made is read once, and believed or made again."""

from __future__ import annotations

from jettison.app.session import Session
from jettison.base.errors import HostError, InputError
from jettison.store import results


def proved(session: Session, layer: str, path: str) -> str:
    """`path`, the doubted snapshot of `layer`, when its files are those that were written. The layer's lock is held.

    Raises InputError when they are not: the snapshot and every result that has it are then gone.
    """
    store = session.store
    known = store.layers.get(layer)
    if known is not None and known.content_digest and known.content_digest == _digest(session, path):
        store.snapshots.prove(layer)
        return path
    results.forget_layer(store.index, layer)
    store.snapshots.drop(layer)
    raise InputError(
        f"layer {layer} is not what was written: the machine went down before it was on the disk",
        hint="build again: its step runs anew",
    )


def _digest(session: Session, path: str) -> str:
    """Of the bytes that lie there; "" when they cannot be read as a snapshot."""
    from jettison.sandbox.spec import Digested, SnapshotDigestRequest

    keeper = session.keeper()
    try:
        reply = keeper.ask(SnapshotDigestRequest(snapshot=path, proof=True), cancel=session.cancel)
    except HostError:
        return ""
    return reply.digest if isinstance(reply, Digested) else ""
