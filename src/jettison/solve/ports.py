"""The world as the solver sees it: four ports, each a page of promises. Fakes that pass the same contracts: tests.

Everything that crosses a port is a frozen value of digests and specs: never a live object, never a path of this
machine. So a later adapter may run a ready step elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from jettison.planning.graph import Step
from jettison.planning.ops import AnyOp
from jettison.record.model import AnyEvent, KeyPart


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a step yielded.

    `id` is its identity: what the keys of later steps build on. `layers` is the whole stack, bottom first; `added` the
    part of it that is this step's own (empty when nothing changed). A layer id is `sha256:...` (a base's diff_id) or
    the store's own name of a snapshot. `inputs` are the identities of the results that it was made of, as far as they
    are known: those of a cache elsewhere are not.
    """

    id: str
    layers: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A cache key with the parts it was made of, in order."""

    digest: str
    parts: tuple[KeyPart, ...] = ()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier result of the same op: what a re-run is compared with, and what a miss explains itself by.

    `parts` are those of its content key; `site` is where it was made. `salt`: another machine made it, the parts are
    sealed with that (`solve.key.sealed`), and of `result` its identity alone is given.
    """

    site: str = ""
    result: Result
    parts: tuple[KeyPart, ...] = ()
    salt: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A result as it is saved: under every one of `keys`; findable as a candidate by `op_digest` and by `site` (the
    caller's scope and the step), with the parts of the last key.
    """

    keys: tuple[Key, ...]
    op_digest: str
    site: str
    result: Result


class ResultCache(Protocol):
    """Results by key. Durable, shared by builds that run at the same time, never wrong: at worst it forgets."""

    def find(self, key: str) -> Result | None:
        """The result saved under `key`, if every layer of its stack that was made here is still whole; pins them for
        this build. A base's layers need not be here: they can be fetched again.
        """

    def save(self, *entries: Entry) -> None:
        """Remember results: all of them or, where that fails, none. Saving a key again replaces what it meant."""

    def stand(self, *entries: Entry) -> None:
        """These results, found by key (`keys` does not matter), are what stands at their sites now: `last_at` gives
        them. Nothing comes of one that was never saved anywhere.
        """

    def candidates(self, op_digest: str) -> tuple[Candidate, ...]:
        """Earlier results of the op with that digest that are still whole, newest first, at most 8; pins them."""

    def known_ops(self, op_digests: Collection[str]) -> frozenset[str]:
        """Those of the ops of which `find` might give a result, whatever they were run on: all of which one was saved,
        and others. A step whose op is not among them cannot hit, nor can what stands on it by definition.
        """

    def last_at(self, site: str) -> Candidate | None:
        """What was saved or stood at that site last, whatever its op: what `why rebuilt` compares with."""


class Inputs(Protocol):
    """What steps read, as digests. May be asked from several threads at once."""

    def identity(self, op: AnyOp) -> str:
        """The identity of a source op without its bytes: an image's digest, a commit, an ETag's or body's digest.
        LocalOp has none and is never asked. Raises InputError or NetworkError.
        """

    def local_digest(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]]:
        """The content digest of just what `step` reads of its input number `index`, a LocalOp; and its parts (a file
        or directory each), so that a miss can name the file. Raises InputError for a missing path.
        """

    def is_told(self, step: Step, index: int) -> bool:
        """Whether `taken` will tell of that input, a LocalOp, so that `local_digest` need not be asked before the step
        runs. Reads no file; raises InputError for a missing path, as `local_digest` does.
        """

    def taken(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]] | None:
        """What the step took of that input, a LocalOp, when it just ran: what `local_digest` had given of exactly that.
        None where it is not told, or as `local_digest` said.
        """

    def stack_digest(self, step: Step, index: int, layers: tuple[str, ...]) -> str:
        """The same of a layer stack, its parts left out. May be asked when the step just ran, before anybody else: then
        what ran may have told it. Raises InputError for a missing path.
        """

    def layer_digest(self, layer: str) -> str:
        """The content digest of a whole layer, mtime left out. Computed once and remembered with the layer."""


class Executor(Protocol):
    """Runs steps. Called from several threads at once; each call ends its own processes before it returns or raises."""

    def prepare(self) -> None:
        """Steps will have to run, most likely: what takes time to start may begin now. Called once at most, from the
        caller's own thread, before any other is started.
        """

    def execute(self, step: Step, inputs: tuple[Result | None, ...], emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        """Run the step on its inputs' results (None for a LocalOp) and return the layers it added, () when it changed
        nothing. Output lines and progress go to `emit`. When `cancel` is set (by the caller, or because another step
        failed) the step ends soon, with Cancelled. Raises StepError, InputError, NetworkError, HostError, Cancelled. A
        failed step leaves nothing behind.
        """

    def discard(self, layers: tuple[str, ...]) -> None:
        """Forget layers that `execute` returned and that will not be used (an equal earlier result was found)."""


class Emit(Protocol):
    """Where events go. Never raises, never blocks for long; called from any thread."""

    def __call__(self, event: AnyEvent) -> None:
        """Take one event; `at_ms` is filled in by the one who collects."""


class Cancel(Protocol):
    """Asked between actions: has the caller asked to stop?"""

    def is_set(self) -> bool:
        """True from the moment of the request on."""
