"""What may go: a pure decision over an inventory. Nothing here touches a disk; `sweep` gathers and removes."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

RESULT = "result"
REF = "ref"
NAME = "name"
UNNAMED = "unnamed"
CACHE = "cache"
LAYER = "layer"
BLOB = "blob"

ALWAYS_S = 1 << 62  # "last used": what stays whatever its age


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is kept or dropped as a whole, and the things that stay as long as it does.

    `kind` is result, ref, name (a tagged image), unnamed (an image that has only its id) or cache; `id` its key in the
    index; `used_s` when it was last used (s since the epoch). It is as fresh as the least fresh of `follows` (what it
    holds, unless that says otherwise): what a base's name means is remembered while the base's layers are used.
    """

    kind: str
    id: str
    used_s: int
    holds: frozenset[str] = frozenset()
    follows: frozenset[str] = frozenset()

    @property
    def fresh_as(self) -> frozenset[str]:
        """The things whose use is this holder's use."""
        return self.follows or self.holds


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
    """A thing and who needs it: `named` a tagged image, `pinned` a running build, `shared` more than one holder.
    `used_s` is 0 for what nothing holds.
    """

    kind: str
    id: str
    size_bytes: int
    used_s: int = 0
    shared: bool = False
    named: bool = False
    pinned: bool = False


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A holder and what it takes: `size_bytes` in all, `own_bytes` of that for nobody else."""

    kind: str
    id: str
    used_s: int
    size_bytes: int
    own_bytes: int
    pinned: bool = False


def decide(
    inventory: Inventory,
    *,
    all_: bool = False,
    until_s: int | None = None,
    keep_bytes: int | None = None,
    kinds: frozenset[str] | None = None,
) -> Doomed:
    """What may go: build cache and images without a tag, longest unused first.

    Tagged images stay unless `all_`, and with them every result that is made of their layers alone: it takes no bytes.
    `until_s`: only what was last used before that moment. `keep_bytes`: only as much as is needed for what no tagged
    image needs (with `all_`, for all) to come down to that size. `kinds`: only holders of these kinds are looked at.
    What nothing holds goes in any case.
    """
    tally = _Tally(inventory)
    candidates = [h for h in inventory.holders if (all_ or h.kind != NAME) and (kinds is None or h.kind in kinds)]
    used = _last_used(inventory, tally, candidates)
    size = tally.size_of(candidates)
    old = [h for h in candidates if used[h] < (ALWAYS_S if until_s is None else until_s)]
    dropped = []
    # Of those that were used together, what stands on others goes before them.
    for holder in sorted(old, key=lambda h: (used[h], -len(h.holds), h.kind, h.id)):
        if keep_bytes is not None and size <= keep_bytes:
            break
        size -= tally.drop(holder)
        dropped.append(holder)
    return Doomed(holders=tuple(dropped), things=tally.unheld())


def cache_bytes(inventory: Inventory) -> int:
    """What `keep_bytes` is compared with: the bytes that no tagged image needs."""
    return _Tally(inventory).size_of([holder for holder in inventory.holders if holder.kind != NAME])


def usage(inventory: Inventory) -> tuple[Usage, ...]:
    """What each thing takes and who needs it, largest first."""
    tally = _Tally(inventory)
    used = {_key(holder): holder.used_s for holder in inventory.holders}
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
                named=any(kind == NAME for kind, _ in holders),
                pinned=tally.is_pinned(thing.id),
            )
        )
    return tuple(sorted(lines, key=lambda line: (-line.size_bytes, line.kind, line.id)))


def shares(inventory: Inventory, kinds: Iterable[str]) -> tuple[Share, ...]:
    """What each holder of these kinds takes, largest first."""
    tally = _Tally(inventory)
    wanted = frozenset(kinds)
    lines = [tally.share(holder) for holder in inventory.holders if holder.kind in wanted]
    return tuple(sorted(lines, key=lambda line: (-line.size_bytes, line.kind, line.id)))


def _last_used(inventory: Inventory, tally: _Tally, candidates: list[Holder]) -> dict[Holder, int]:
    """When each candidate was last used, itself or by what stands on it.

    A hit on a later step asks for none of the steps below it, yet they are in its stack: dropping them would free
    nothing, and cost the next build everything.
    """
    may_go = {_key(holder) for holder in candidates}
    used = {_key(h): h.used_s if _key(h) in may_go else ALWAYS_S for h in inventory.holders}

    def of(thing: str) -> int:
        return ALWAYS_S if tally.is_pinned(thing) else max((used[each] for each in tally.holders_of(thing)), default=0)

    latest = {thing: of(thing) for thing in {each for holder in candidates for each in holder.fresh_as}}
    return {h: max(h.used_s, min((latest[each] for each in h.fresh_as), default=0)) for h in candidates}


def _key(holder: Holder) -> tuple[str, str]:
    return holder.kind, holder.id


class _Tally:
    """Who holds what, through things that hold others.

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
                self._holders.setdefault(each, set()).add(_key(holder))

    def holders_of(self, thing: str) -> set[tuple[str, str]]:
        return self._holders.get(thing, set())

    def is_pinned(self, thing: str) -> bool:
        return thing in self._pinned

    def size_of(self, holders: Iterable[Holder]) -> int:
        """The bytes that nobody but these holds."""
        going = {_key(holder) for holder in holders}
        held = {each for holder in holders for each in self._closure(holder.holds)}
        return sum(self._bytes(each) for each in held if self._holders[each] <= going)

    def share(self, holder: Holder) -> Share:
        held = self._closure(holder.holds)
        return Share(
            kind=holder.kind,
            id=holder.id,
            used_s=holder.used_s,
            size_bytes=sum(map(self._bytes, held)),
            own_bytes=sum(self._bytes(each) for each in held if len(self._holders[each]) == 1),
            pinned=any(each in self._pinned for each in held),
        )

    def drop(self, holder: Holder) -> int:
        """The bytes that nobody needs any more without it."""
        freed = 0
        for each in self._closure(holder.holds):
            self._holders[each].discard(_key(holder))
            freed += 0 if self._is_held(each) else self._bytes(each)
        return freed

    def unheld(self) -> tuple[Thing, ...]:
        return tuple(t for things in self._things.values() for t in things if not self._is_held(t.id))

    def _bytes(self, thing: str) -> int:
        return sum(each.size_bytes for each in self._things.get(thing, ()))

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
