"""What the solver may rely on of its Inputs and its Executor (`solve.ports`): one suite, for the fake and the real.

A `world` has: `write(path, text)` into the context, `inputs`, `executor`, `cancel` (settable), and `left()`, the number
of layers that exist.
"""

import threading

import pytest

from fakes.plans import copy
from jettison.base.errors import Cancelled, InputError
from jettison.solve.ports import Result

SCRATCH = Result(id="scratch")


def take(world, step):
    """Execute a COPY from the context onto nothing."""
    return world.executor.execute(step, (SCRATCH, None), lambda _event: None, world.cancel)


class InputsContract:
    def test_equal_content_has_equal_digests_whatever_its_times(self, world):
        world.write("a", "one")
        first = world.inputs.local_digest(copy("s.1", "/a", "scratch", "context"), 1)[0]
        world.write("a", "one")
        assert world.inputs.local_digest(copy("s.1", "/a", "scratch", "context"), 1)[0] == first

    def test_other_content_has_another_digest_and_names_the_file(self, world):
        step = copy("s.1", "/a", "scratch", "context")
        world.write("a", "one")
        digest, parts = world.inputs.local_digest(step, 1)
        world.write("a", "two!")
        changed, others = world.inputs.local_digest(step, 1)
        assert changed != digest
        assert [part.name for part in parts] == [part.name for part in others]
        assert {part.name for part, other in zip(parts, others, strict=True) if part.value != other.value}

    def test_only_what_the_step_reads_counts(self, world):
        step = copy("s.1", "/a", "scratch", "context")
        world.write("a", "one")
        first = world.inputs.local_digest(step, 1)[0]
        world.write("b", "two")
        assert world.inputs.local_digest(step, 1)[0] == first

    def test_a_layer_digest_is_one_of_content(self, world):
        world.write("a", "one")
        layers = take(world, copy("s.1", "/a", "scratch", "context"))
        again = take(world, copy("s.1", "/a", "scratch", "context"))
        assert layers != again
        assert world.inputs.layer_digest(layers[0]) == world.inputs.layer_digest(again[0])

    def test_a_stack_digest_is_one_of_what_is_read(self, world):
        world.write("a", "one")
        first = take(world, copy("s.1", "/a", "scratch", "context"))
        again = take(world, copy("s.1", "/a", "scratch", "context"))
        reader = copy("t.1", "/a", "scratch", "s.1")
        assert world.inputs.stack_digest(reader, 1, first) == world.inputs.stack_digest(reader, 1, again)

    def test_several_threads_may_ask_at_once(self, world):
        world.write("a", "one")
        step = copy("s.1", "/a", "scratch", "context")
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(world.inputs.local_digest(step, 1)[0])) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert len(set(found)) == 1


class TellingContract:
    """A world whose inputs and executor know each other."""

    def test_what_was_taken_is_what_reading_it_gives(self, world):
        world.write("a", "one")
        world.write("b", "two")
        step = copy("s.1", "/", "scratch", "context")
        assert world.inputs.is_told(step, 1)
        take(world, step)
        taken = world.inputs.taken(step, 1)
        assert taken == world.inputs.local_digest(step, 1)
        assert world.inputs.taken(step, 1) is None

    def test_what_was_taken_is_told_whatever_became_of_it(self, world):
        world.write("a", "one")
        step = copy("s.1", "/a", "scratch", "context")
        assert world.inputs.is_told(step, 1)
        take(world, step)
        world.write("a", "three")
        taken = world.inputs.taken(step, 1)
        assert taken != world.inputs.local_digest(step, 1)
        world.write("a", "one")
        assert taken == world.inputs.local_digest(step, 1)

    def test_what_changed_after_it_was_read_is_told(self, world):
        world.write("a", "one")
        step = copy("s.1", "/a", "scratch", "context")
        read = world.inputs.local_digest(step, 1)
        world.write("a", "three")
        take(world, step)
        taken = world.inputs.taken(step, 1)
        assert taken not in (None, read)
        assert taken == world.inputs.local_digest(step, 1)

    def test_what_was_taken_of_layers_is_what_reading_them_gives(self, world):
        world.write("a", "one")
        layers = take(world, copy("s.1", "/a", "scratch", "context"))
        first, again = (copy(name, "/a", "scratch", "s.1") for name in ("t.1", "t.2"))
        inputs = (SCRATCH, Result(id="s.1", layers=layers, added=layers))
        world.executor.execute(first, inputs, lambda _event: None, world.cancel)
        assert world.inputs.stack_digest(first, 1, layers) == world.inputs.stack_digest(again, 1, layers)

    def test_what_was_not_read_of_a_context_is_not_told(self, world):
        world.write("a", "one")
        step = copy("s.1", "/a", "scratch", "context")
        take(world, step)
        assert world.inputs.taken(copy("s.2", "/a", "scratch", "context"), 1) is None


class ExecutorContract:
    def test_a_step_yields_the_layer_that_it_made(self, world):
        world.write("a", "one")
        before = world.left()
        layers = take(world, copy("s.1", "/a", "scratch", "context"))
        assert len(layers) == 1
        assert world.left() == before + 1

    def test_what_is_discarded_is_gone(self, world):
        world.write("a", "one")
        layers = take(world, copy("s.1", "/a", "scratch", "context"))
        before = world.left()
        world.executor.discard(layers)
        assert world.left() == before - 1

    def test_a_cancelled_step_says_so_and_leaves_nothing(self, world):
        world.write("a", "one")
        before = world.left()
        world.cancel.set()
        with pytest.raises(Cancelled):
            take(world, copy("s.1", "/a", "scratch", "context"))
        assert world.left() == before

    def test_several_threads_may_execute_at_once(self, world):
        world.write("a", "one")
        made: list[tuple[str, ...]] = []
        steps = [copy(f"s.{number}", "/a", "scratch", "context") for number in range(4)]
        threads = [threading.Thread(target=lambda step=step: made.append(take(world, step))) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({layers[0] for layers in made}) == 4


class MissingPathContract:
    def test_a_missing_path_is_an_input_error(self, world):
        for ask in (world.inputs.local_digest, world.inputs.is_told):
            with pytest.raises(InputError, match="not found"):
                ask(copy("s.1", "/nosuch", "scratch", "context"), 1)
