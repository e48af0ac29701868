"""The solver's ports in memory, with counters: what was asked, how often, and in which order.

A layer's content is a text. Two layers with equal texts hold equal bytes.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Collection

import msgspec

from jettison.base.errors import Cancelled
from jettison.planning import ops
from jettison.planning.graph import Plan, Step
from jettison.record.model import AnyEvent, KeyPart
from jettison.solve.ports import Cancel, Candidate, Emit, Entry, Result
from jettison.solve.run import SolveOutcome, solve


def sha(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class FakeCache:
    """A ResultCache. `lost` are layers whose snapshots have vanished."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.saved: list[tuple[str, str, Candidate]] = []
        self.lost: set[str] = set()
        self.finds: Counter[str] = Counter()
        self.asked_ops = 0
        self._lock = threading.Lock()

    def find(self, key: str) -> Result | None:
        with self._lock:
            self.finds[key] += 1
            found = self.results.get(key)
        return found if found is not None and self._is_whole(found) else None

    def save(self, *entries: Entry) -> None:
        with self._lock:
            for entry in entries:
                candidate = Candidate(site=entry.site, result=entry.result, parts=entry.keys[-1].parts)
                self.results.update((key.digest, entry.result) for key in entry.keys)
                self.saved.append((entry.op_digest, entry.site, candidate))

    def stand(self, *entries: Entry) -> None:
        with self._lock:
            for entry in entries:
                same = [each for each in self.saved if (each[0], each[2].result) == (entry.op_digest, entry.result)]
                same.sort(key=lambda each: each[1] == entry.site)
                for op, _, candidate in same[-1:]:
                    place = (op, entry.site, msgspec.structs.replace(candidate, site=entry.site))
                    self.saved = [each for each in self.saved if each != place] + [place]

    def candidates(self, op_digest: str) -> tuple[Candidate, ...]:
        with self._lock:
            found = [candidate for digest, _, candidate in reversed(self.saved) if digest == op_digest]
        return tuple(candidate for candidate in found if self._is_whole(candidate.result))[:8]

    def known_ops(self, op_digests: Collection[str]) -> frozenset[str]:
        with self._lock:
            self.asked_ops += 1
            return frozenset(op_digests).intersection(digest for digest, _, _ in self.saved)

    def last_at(self, site: str) -> Candidate | None:
        with self._lock:
            return next((candidate for _, where, candidate in reversed(self.saved) if where == site), None)

    def _is_whole(self, result: Result) -> bool:
        return not self.lost.intersection(result.layers)


class World:
    """Inputs and Executor over one memory. `files` are the context's; `yields` says what a step writes, by its id.

    A step that `yields` nothing for writes a text of its own and of just what it reads, as a compiler would; a command
    with `blind` in it looks at nothing. The text "" is a step that changes nothing.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.yields: dict[str, str | Callable[[], str]] = {}
        self.contents: dict[str, str] = {}
        self.prepared = 0
        self.executed: list[str] = []
        self.discarded: list[str] = []
        self.stack_reads: list[str] = []
        self.local_reads: list[str] = []
        self.tells = True
        self.told: dict[tuple[str, int], tuple[str, tuple[KeyPart, ...]]] = {}
        self.said: dict[tuple[str, int], tuple[str, tuple[KeyPart, ...]]] = {}
        self.before: Callable[[Step, Cancel], None] = lambda _step, _cancel: None
        self.identities: dict[str, str] = {}
        self._lock = threading.Lock()

    def identity(self, op: ops.AnyOp) -> str:
        assert isinstance(op, (ops.HttpOp, ops.GitOp))
        return self.identities.get(op.url if isinstance(op, ops.HttpOp) else op.remote, "v1")

    def local_digest(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]]:
        found = self._local_digest(step, index)
        with self._lock:
            self.local_reads.append(step.id)
            self.said[step.id, index] = found
        return found

    def is_told(self, step: Step, index: int) -> bool:
        del index
        return isinstance(step.op, ops.CopyOp) and self.tells

    def taken(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]] | None:
        with self._lock:
            told = self.told.pop((step.id, index), None)
            return None if told == self.said.get((step.id, index)) else told

    def _local_digest(self, step: Step, index: int) -> tuple[str, tuple[KeyPart, ...]]:
        paths = _paths(step, index)
        found = {path: text for path, text in self.files.items() if any(_below(path, each) for each in paths)}
        return sha(repr(sorted(found.items()))), tuple(KeyPart(path, sha(text)) for path, text in found.items())

    def stack_digest(self, step: Step, index: int, layers: tuple[str, ...]) -> str:
        with self._lock:
            self.stack_reads.append(f"{step.id}:{index}")
        return sha(self.contents[layers[-1]])  # what is read stands in the topmost layer

    def layer_digest(self, layer: str) -> str:
        return sha(self.contents[layer])

    def prepare(self) -> None:
        self.prepared += 1

    def execute(self, step: Step, inputs: tuple[Result | None, ...], emit: Emit, cancel: Cancel) -> tuple[str, ...]:
        del emit
        with self._lock:
            self.executed.append(step.id)
        self.before(step, cancel)
        if cancel.is_set():
            raise Cancelled("cancelled")
        if isinstance(step.op, ops.CopyOp) and self.tells:
            self.told |= {
                (step.id, index): self._local_digest(step, index)
                for index, result in enumerate(inputs)
                if result is None
            }
        if isinstance(step.op, ops.ImageOp):
            return (self._add(sha(step.op.digest), step.op.digest),)
        text = self.yields.get(step.id)
        text = text() if callable(text) else text
        if text is None and isinstance(step.op, (ops.HttpOp, ops.GitOp)):
            text = self.identity(step.op)
        if text is None and isinstance(step.op, ops.RunOp) and "blind" in step.op.args[-1]:
            text = step.op.args[-1]
        if text is None:
            text = sha(repr((step.op, [self._seen(step, index, each) for index, each in enumerate(inputs)])))
        with self._lock:
            layer = f"s-{len(self.contents):032x}"
        return (self._add(layer, text),) if text else ()

    def discard(self, layers: tuple[str, ...]) -> None:
        with self._lock:
            self.discarded.extend(layers)

    def text(self, result: Result) -> list[str]:
        """What the layers of a result hold, bottom first."""
        return [self.contents[layer] for layer in result.layers]

    def _seen(self, step: Step, index: int, result: Result | None) -> object:
        if result is None:
            return self._local_digest(step, index)
        return self.text(result)[-1] if index else self.text(result)

    def _add(self, layer: str, text: str) -> str:
        with self._lock:
            self.contents[layer] = text
        return layer


class Flag:
    """A Cancel that can be set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()


class Bench:
    """A world, a cache, and solves on them."""

    def __init__(self) -> None:
        self.world = World()
        self.cache = FakeCache()
        self.events: list[AnyEvent] = []
        self.cancel = Flag()

    def solve(self, *plans: Plan, jobs: int = 4, **options: object) -> SolveOutcome:
        """One solve; `events` and what the world counts begin anew."""
        self.events = []
        self.world.executed = []
        self.world.discarded = []
        self.world.stack_reads = []
        self.world.local_reads = []
        self.world.said = {}
        return solve(
            *plans,
            cache=self.cache,
            inputs=self.world,
            executor=self.world,
            emit=self.events.append,
            cancel=self.cancel,
            jobs=jobs,
            **options,
        )

    def kinds(self, step: str) -> list[str]:
        """The events of a step, by name; a hit with how it was found."""
        return [_kind(event) for event in self.events if getattr(event, "step", None) == step]

    def reason(self, step: str) -> str:
        return next(event.reason for event in self.events if _kind(event) == "StepStarted" and event.step == step)


def _kind(event: AnyEvent) -> str:
    name = type(event).__name__
    return f"{name}:{event.hit}" if name == "StepCached" else name


def _paths(step: Step, index: int) -> list[str]:
    match step.op:
        case ops.CopyOp():
            return [source.path for source in step.op.sources if source.input == index]
        case ops.RunOp():
            return [m.source for m in step.op.mounts if isinstance(m, ops.BindMount) and m.input == index]
        case _:
            return ["/"]


def _below(path: str, top: str) -> bool:
    return top == "/" or ("/" + path + "/").startswith(top.rstrip("/") + "/")
