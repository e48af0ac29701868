"""Whole solves of random plans with fake vertices: a warm build yields just what a cold one does, and runs no more."""

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.plans import CONTEXT, copy, image, plan, run
from fakes.ports import Bench
from jettison.planning.graph import Plan, Step

FILES = ["a", "b", "c"]


@st.composite
def shapes(draw: st.DrawFn) -> list[tuple[str, list[int], str]]:
    """Steps as (kind, what they read by number, the file that they read); 0 is the image."""
    size = draw(st.integers(1, 7))
    return [
        (
            draw(st.sampled_from(["run", "copy", "local"])),
            draw(st.lists(st.integers(0, number), min_size=1, max_size=3)),
            draw(st.sampled_from(FILES)),
        )
        for number in range(size)
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[list[str], dict[str, str]]]:
    """Builds in a row, each with its commands and the context's files. Blind commands cut the rebuild off."""
    commands = st.lists(st.sampled_from(["x", "y", "blind"]), min_size=7, max_size=7)
    files = st.fixed_dictionaries({name: st.sampled_from(["1", "2"]) for name in FILES})
    return draw(st.lists(st.tuples(commands, files), min_size=2, max_size=5))


def plan_of(shape: list[tuple[str, list[int], str]], commands: list[str]) -> Plan:
    names = ["image:base", *(f"s{number}.1" for number in range(len(shape)))]
    steps: list[Step] = [CONTEXT, image()]
    for number, (kind, reads, file) in enumerate(shape):
        name, inputs = names[number + 1], [names[read] for read in reads]
        if kind == "local":
            steps.append(copy(name, f"/{file}", inputs[0], "context"))
        elif kind == "copy":
            steps.append(copy(name, "/out", inputs[0], inputs[-1]))
        else:
            steps.append(run(name, commands[number], *inputs))
    return plan(*steps)


@settings(max_examples=examples(150), deadline=None)
@given(shapes(), histories(), st.sampled_from([1, 3]))
def test_a_warm_build_yields_what_a_cold_one_does(shape, history, jobs):
    warm = Bench()
    for commands, files in history:
        made = plan_of(shape, commands)
        outcomes = []
        for bench in (warm, Bench(), reading_first()):
            bench.world.files = dict(files)
            outcome = bench.solve(made, jobs=jobs)
            assert len(bench.world.executed) == len(set(bench.world.executed))
            result = outcome.results[made.result]
            outcomes.append((bench.world.text(result), result.id, outcome.keys))
            below = None
            for name in made.lineage:  # the image's layers are its lineage's
                result = outcome.results[name]
                assert below is None or result.layers == (*below.layers, *result.added)
                below = result
        assert outcomes[0] == outcomes[1] == outcomes[2]


def reading_first() -> Bench:
    """A cold bench on which no copy can tell what it took."""
    bench = Bench()
    bench.world.tells = False
    return bench


@settings(max_examples=examples(50), deadline=None)
@given(shapes(), histories())
def test_the_same_build_again_executes_nothing(shape, history):
    bench = Bench()
    for commands, files in history:
        bench.world.files = dict(files)
        bench.solve(plan_of(shape, commands))
    bench.solve(plan_of(shape, history[-1][0]))
    assert bench.world.executed == []
    assert bench.world.stack_reads == []
