"""Whatever stands in a Dockerfile, lowering gives a plan or an error for people, and the plan is whole."""

from hypothesis import event, given, settings
from hypothesis import strategies as st
from planning_world import plan

from jettison.base.errors import DockerfileError, InputError

WORDS = st.one_of(
    st.sampled_from([
        "a", "b", "/", "..", "$A", "${B:-x}", "${C?y}", "*", "0", "1", "busybox", "scratch", "node:20", "onbuild/tools",
        "https://h/x.git?tag=1", "git@h:x", "--link", "--chown=a", "--chmod=7", "--from=a", "--from=0", "--parents",
        "--mount=type=cache,target=/c", "--mount=from=a,target=x", "--mount=type=secret,id=a", "<<E", "A=$A", "=",
        "80/tcp", "1-9", '["a", "b"]', "NONE", "CMD", "\\", "'", '"', "TERM",
    ]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=5),
)  # fmt: skip
KEYWORDS = st.sampled_from([
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
    "ONBUILD RUN", "ONBUILD COPY", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    "FROM busybox AS", "FROM a AS", "E",
])  # fmt: skip
LINES = st.builds(lambda keyword, words: " ".join([keyword, *words]), KEYWORDS, st.lists(WORDS, max_size=4))


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=8), st.dictionaries(st.sampled_from("ABC"), st.text(max_size=4)), st.booleans())
def test_a_plan_or_an_error(lines: list[str], build_args: dict[str, str], implicit: bool) -> None:
    text = "FROM busybox AS a\n" + "\n".join(lines)
    try:
        made = plan(text, build_args=build_args, implicit_platform=implicit, contexts={"b": "dir"})
    except (DockerfileError, InputError) as error:
        event(type(error).__name__)
        return
    seen: set[str] = set()
    for step in made.steps:
        assert seen.issuperset(step.inputs)
        seen.add(step.id)
    assert made.result in seen
    assert [entry.step for entry in made.history if entry.step is not None] == [
        step for step in made.lineage[1:] if not step.startswith("context:")
    ]
