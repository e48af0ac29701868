"""What may go: a pure decision over an inventory. Nothing here touches a disk; `sweep` gathers and removes."""

from __future__ import annotations

import msgspec

RESULT = "result"
REF = "ref"
NAME = "name"
CACHE = "cache"
LAYER = "layer"
BLOB = "blob"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is kept or dropped as a whole, and the things that stay as long as it does.

    `kind` is result, ref, name or cache; `id` its key in the index; `used_s` when it was last used (s since the epoch).
    """

    kind: str
    id: str
    used_s: int
    holds: frozenset[str] = frozenset()


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes on disk: a layer's snapshot, a blob or a cache directory. `holds`: what stays as long as it does."""

    kind: str
    id: str
    size_bytes: int
    holds: frozenset[str] = frozenset()


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """All that there is. `pinned`: ids that running builds use."""

    holders: tuple[Holder, ...]
    things: tuple[Thing, ...]
    pinned: frozenset[str] = frozenset()


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go."""

    holders: tuple[Holder, ...] = ()
    things: tuple[Thing, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The bytes that go with it."""
        return sum(thing.size_bytes for thing in self.things)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `du`: `shared` when more than one holder needs it, `in_use` when a named image or a build does."""

    kind: str
    id: str
    size_bytes: int
    used_s: int
    shared: bool
    in_use: bool


def decide(
    inventory: Inventory, *, all_: bool = False, until_s: int | None = None, keep_bytes: int | None = None
) -> Doomed:
    """What may go: build cache, longest unused first.

    Named images stay unless `all_`. `until_s`: only what was last used before that moment. `keep_bytes`: only as much
    as is needed to come down to that size. Things that nothing holds and no build uses go in any case.
    """
    candidates = [h for h in inventory.holders if _may_go(h, inventory.pinned, all_=all_, until_s=until_s)]
    tally = _Tally(inventory)
    dropped = []
    for holder in sorted(candidates, key=lambda h: (h.used_s, h.kind, h.id)):
        if keep_bytes is not None and tally.size_bytes <= keep_bytes:
            break
        tally.drop(holder)
        dropped.append(holder)
    return Doomed(holders=tuple(dropped), things=tally.unheld())


def usage(inventory: Inventory) -> tuple[Usage, ...]:
    """What each thing takes and who needs it, largest first."""
    tally = _Tally(inventory)
    used = {(holder.kind, holder.id): holder.used_s for holder in inventory.holders}
    lines = []
    for thing in inventory.things:
        holders = tally.holders_of(thing.id)
        lines.append(
            Usage(
                kind=thing.kind,
                id=thing.id,
                size_bytes=thing.size_bytes,
                used_s=max((used[each] for each in holders), default=0),
                shared=len(holders) > 1,
                in_use=thing.id in inventory.pinned or any(kind == NAME for kind, _ in holders),
            )
        )
    return tuple(sorted(lines, key=lambda line: (-line.size_bytes, line.kind, line.id)))


def _may_go(holder: Holder, pinned: frozenset[str], *, all_: bool, until_s: int | None) -> bool:
    if holder.kind == NAME and not all_:
        return False
    if holder.kind == CACHE and holder.id in pinned:
        return False
    return until_s is None or holder.used_s < until_s


class _Tally:
    """Who holds what, through things that hold others, and the bytes that are held.

    An uncompressed layer and its blob have one id: whoever holds that id holds both.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._things: dict[str, list[Thing]] = {}
        for thing in inventory.things:
            self._things.setdefault(thing.id, []).append(thing)
        self._holders: dict[str, set[tuple[str, str]]] = {}
        self._pinned = self._closure(inventory.pinned)
        for holder in inventory.holders:
            for each in self._closure(holder.holds):
                self._holders.setdefault(each, set()).add((holder.kind, holder.id))
        self.size_bytes = sum(thing.size_bytes for thing in inventory.things if self._is_held(thing.id))

    def holders_of(self, thing: str) -> set[tuple[str, str]]:
        return self._holders.get(thing, set())

    def drop(self, holder: Holder) -> None:
        for each in self._closure(holder.holds):
            self._holders[each].discard((holder.kind, holder.id))
            if not self._is_held(each):
                self.size_bytes -= sum(thing.size_bytes for thing in self._things.get(each, ()))

    def unheld(self) -> tuple[Thing, ...]:
        return tuple(t for things in self._things.values() for t in things if not self._is_held(t.id))

    def _is_held(self, thing: str) -> bool:
        return thing in self._pinned or bool(self._holders.get(thing))

    def _closure(self, names: frozenset[str]) -> frozenset[str]:
        """The names and all that they hold: a layer holds the blobs that it was packed or unpacked from."""
        found = set(names)
        waiting = list(names)
        while waiting:
            held = [each for thing in self._things.get(waiting.pop(), ()) for each in thing.holds]
            waiting += (each for each in held if each not in found)
            found.update(held)
        return frozenset(found)
