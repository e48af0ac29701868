"""The automatic bound: at the end of a build that did something, what no tagged image needs is kept below a size.

The check is one stat and one small file. Only when the store may have outgrown the bound since it was last measured,
or a day after that, is it measured again (docs/decisions/0021).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from jettison.base.errors import JettisonError, UsageError
from jettison.record.model import Warned
from jettison.solve.ports import Emit
from jettison.store.locks import try_lock
from jettison.store.store import Store

if TYPE_CHECKING:
    from jettison.app.session import Session

VARIABLE = "JETTISON_STORE_BOUND"
DEFAULT_BYTES = 10 << 30
DEFAULT_SHARE = 0.1  # of the file system's size
MEASURED_AGAIN_S = 86_400
KEPT_SHARE = 0.9  # of the bound: so that not every build after it is the one that has to remove something


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What the build cache took at a moment, and what was free on the file system then."""

    cache_bytes: int
    free_bytes: int
    at_s: int


_measure = msgspec.json.Decoder(Measure)


def store_bound(root: str) -> int | None:
    """The bytes that the build cache is kept below; None: there is no bound.

    $JETTISON_STORE_BOUND is a size, a share of the file system (`15%`) or `none`. Without it: 10 GiB, or a tenth of the
    file system where that is more. Raises UsageError.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text.lower() in ("none", "off"):
        return None
    if text.endswith("%"):
        return int(_share(text) * _file_system(root)[0])
    if text:
        from jettison.base.amounts import parse_size

        try:
            return parse_size(text)
        except ValueError as error:
            raise _malformed(text) from error
    return max(DEFAULT_BYTES, int(DEFAULT_SHARE * _file_system(root)[0]))


def keep_below_bound(session: Session, emit: Emit) -> None:
    """Remove what was longest unused, if the cache has outgrown its bound, and tell of it.

    What running builds use stays, this one's among them. Whatever goes wrong is a warning: the build itself is done.
    """
    try:
        gone = _keep(session)
    except (JettisonError, OSError) as error:
        emit(Warned(message=f"the store was not kept below its bound: {error}"))
        return
    if gone:
        emit(Warned(message=f"the store outgrew its bound: {gone / 1e6:.1f} MB that were longest unused are removed"))


def _keep(session: Session) -> int:
    """The bytes that were removed. Only one process at a time looks."""
    bound = store_bound(session.store.root)
    if bound is None or not is_due(session.store, bound):
        return 0
    fd = try_lock(os.path.join(session.store.root, "locks", "care"))
    if fd is None:
        return 0
    try:
        return _enforce(session, bound)
    finally:
        os.close(fd)


def is_due(store: Store, bound: int) -> bool:
    """Whether the cache may be larger than the bound: what was free when it was measured, and is not now, may all be
    the cache's.
    """
    last = _read(store)
    if last is None:
        return True
    now, free = now_s(), _file_system(store.root)[1]
    return last.cache_bytes + max(0, last.free_bytes - free) > bound or not 0 <= now - last.at_s < MEASURED_AGAIN_S


def begin(store: Store) -> None:
    """From now on what is no longer free counts. A store that was never measured is new, or is measured in a day."""
    if not os.path.exists(_path(store)):
        write_measure(store, Measure(cache_bytes=0, free_bytes=_file_system(store.root)[1], at_s=now_s()))


def _enforce(session: Session, bound: int) -> int:
    from jettison.store import gc, sweep  # late: hardly any build comes here

    store = session.store
    size = gc.cache_bytes(sweep.take_stock(store, session.sizes))
    gone = 0
    if size > bound:
        keep = int(bound * KEPT_SHARE)
        gone = sweep.prune(store, session.remove, session.sizes, keep_bytes=keep).size_bytes
    free = _file_system(store.root)[1]
    write_measure(store, Measure(cache_bytes=max(0, size - gone), free_bytes=free, at_s=now_s()))
    return gone


def _file_system(path: str) -> tuple[int, int]:
    """(size, what is free) of the file system that `path` is on, in bytes."""
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _share(text: str) -> float:
    digits = text.removesuffix("%").strip()
    if not digits.isascii() or not digits.isdigit() or int(digits) > 100:
        raise _malformed(text)
    return int(digits) / 100


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"{VARIABLE} is {text!r}", hint="write a size such as 20GB, a share of the file system such as 15%, or none"
    )


def _path(store: Store) -> str:
    return os.path.join(store.root, "measured")


def _read(store: Store) -> Measure | None:
    try:
        with open(_path(store), "rb") as file:
            return _measure.decode(file.read(1024))
    except (FileNotFoundError, msgspec.DecodeError):  # never measured, or cut short by a power cut
        return None


def write_measure(store: Store, measure: Measure) -> None:
    """Remember what was measured."""
    aside = os.path.join(store.root, "tmp", f"measured-{os.urandom(4).hex()}")
    with open(aside, "wb") as file:
        file.write(msgspec.json.encode(measure))
    os.replace(aside, _path(store))


def now_s() -> int:
    """The time of day, in s since the epoch."""
    return int(time.time())
