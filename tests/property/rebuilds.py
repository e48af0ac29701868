"""Projects by the hundred, each with an edit: multi-stage files that mostly build, of steps that yield the same bytes
wherever they run.

Times older than SOURCE_DATE_EPOCH are in none of them: keys leave times out, so that such a time, changed alone, stays
as it was (docs/cache.md). Newer ones are clamped, and what the clock says never shows.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from projects import Edit, Entry, Project, Stage

Draw = Callable[[st.SearchStrategy], object]

WORDS = ("one", "two", "three", "four")
VALUES = st.sampled_from(WORDS)
NAMES = ("a.txt", "b.txt", "c.md", "tool", "d/x", "d/y.md", "d/e/z", "f/a.txt", "link", "pack.tar")
PLACES = ("/w", "/w/in", "/data", "/opt/x")
FILES = tuple(f"{place}/{name}" for place in PLACES for name in ("a", "b", "a.txt"))
MODES = (0o644, 0o600, 0o755, 0o4755)


@st.composite
def entries(draw: Draw, name: str) -> Entry:
    """Something of that name: its ending says what it is."""
    text = f"{draw(VALUES)} {name}\n"
    if name == "link":
        return Entry("link", draw(st.sampled_from(("a.txt", "d", "nowhere"))))
    return Entry("tar" if name.endswith(".tar") else "file", text, draw(st.sampled_from(MODES)))


@st.composite
def projects(draw: Draw) -> Project:
    """Two to five stages over a context of a few files."""
    names = draw(st.lists(st.sampled_from(NAMES[3:]), unique=True, max_size=6))
    files = {name: draw(entries(name)) for name in (*NAMES[:3], "d/x", *names)}
    if draw(st.booleans()):
        files[".dockerignore"] = Entry("file", draw(st.sampled_from(("*.md\n", "**/*.md\n!c.md\n", "d/e\n"))))
    count = draw(st.integers(2, 5))
    stages: list[Stage] = []
    for number in range(count):
        stages.append(draw(_stage(number, tuple(stages))))
    return Project(files, tuple(stages), draw(st.sampled_from(({}, {"KIND": "two"}, {"GIVEN": "three"}))))


@st.composite
def _stage(draw: Draw, number: int, before: tuple[Stage, ...]) -> Stage:
    bases = ["busybox", "busybox", "scratch", *(f"s{index}" for index in range(number))]
    base = draw(st.sampled_from(bases))
    first = "WORKDIR /w/in" if base == "scratch" else "RUN mkdir -p /w/in /data /opt/x"
    kinds = st.sampled_from(_kinds(number, runs=_runs(base, before)))
    lines = tuple(draw(draw(kinds)) for _ in range(draw(st.integers(1, 5))))
    lines = lines if base.startswith("s") and base != "scratch" else (first, *lines)
    carried = f"COPY --from=s{number - 1} /w /{draw(st.sampled_from(('w', 'kept')))}"
    return Stage(base, (*lines, carried) if number else lines)


def _runs(base: str, stages: tuple[Stage, ...]) -> bool:
    """Whether a stage on that base has a shell."""
    while base.startswith("s") and base != "scratch":
        base = stages[int(base[1:])].base
    return base == "busybox"


def _kinds(number: int, *, runs: bool) -> list[st.SearchStrategy[str]]:
    found = [_copy(), _copy(), _metadata()]
    found += [_copy_from(number), _copy_from(number)] if number else []
    return [*found, _run(), _run(), _run(), _mounted(number)] if runs else found


_FLAGS = (
    *("", "", "", "--chown=7:8 ", "--chmod=640 ", "--link ", "--link --chown=9 ", "--exclude=*.md "),
    *("--exclude=d/* ", "--parents ", "--chmod=755 --exclude=a* "),
)
_DESTS = ("/w/", "/w/in/", "/data/", "/data/new/deep/", "/opt/x/", "./")


@st.composite
def _copy(draw: Draw) -> str:
    sources = draw(st.sampled_from((".", "d", "d/", "*.txt", "a.txt b.txt", "d/*", "[ab].txt", "t*", "a.txt d/x *.md")))
    command = draw(
        st.sampled_from(
            (
                f"COPY {draw(st.sampled_from(_FLAGS))}{sources}",
                f"COPY {draw(st.sampled_from(_FLAGS))}{sources}",
                "ADD pack.ta[r]",
                "ADD --chown=4:5 *.tar",
            )
        )
    )
    return f"{command} {draw(st.sampled_from(_DESTS))}"


@st.composite
def _copy_from(draw: Draw, number: int) -> str:
    stage = draw(st.integers(0, number - 1))
    source = draw(st.sampled_from(("/w", "/w/", "/w/*", "/w/in", "/w/[a-c]*", "/w/in/* /dat[a]", "/op[t]/x")))
    flags = draw(st.sampled_from(_FLAGS))
    return f"COPY --from=s{stage} {flags}{source} {draw(st.sampled_from(_DESTS))}"


@st.composite
def _metadata(draw: Draw) -> str:
    word = draw(VALUES)
    return draw(
        st.sampled_from(
            (
                f"ENV KIND={word}",
                f"ENV OTHER=$KIND-{word}",
                f"ARG GIVEN={word}",
                "ARG KIND",
                f"LABEL kind={word}",
                "USER 1000:1000",
                "USER root",
                f"WORKDIR /w/{word}",
                f"WORKDIR {word}",
                f'CMD ["{word}"]',
                f"VOLUME /{word}",
                f"ONBUILD COPY {word}* a.txt /w/",
                "EXPOSE 80",
                f"COPY <<END /w/doc\nheredoc {word}\nEND",
            )
        )
    )


@st.composite
def _run(draw: Draw) -> str:
    return f"RUN {draw(_script())}"


@st.composite
def _script(draw: Draw) -> str:
    """Commands of which some may fail, and which then change nothing, everywhere."""
    commands = [draw(_command()) for _ in range(draw(st.integers(1, 4)))]
    return "; ".join([*commands, "true"])


@st.composite
def _command(draw: Draw) -> str:
    one, other = draw(st.sampled_from(FILES)), draw(st.sampled_from(FILES))
    place, word = draw(st.sampled_from(PLACES)), draw(VALUES)
    return draw(
        st.sampled_from(
            (
                f"echo {word} {one} > {one}",
                f"echo {word} {one} > {one}",
                f"echo $KIND $GIVEN $OTHER >> {one}",
                f"rm -rf {one}",
                f"rm -rf {place}",
                f"rm -rf {place} && mkdir -p {place} && echo {word} {place} > {place}/a",
                f"mv {one} {other}",
                f"mv {place} {place}.moved",
                f"chmod {draw(st.sampled_from(('600', '755', '4711', '1777')))} {draw(st.sampled_from((one, place)))}",
                f"chown {draw(st.sampled_from(('7:8', '0:1', '1000')))} {draw(st.sampled_from((one, place)))}",
                f"ln {one} {other}",
                f"ln -s {one} {other}",
                f"cp -a {one} {other}",
                f"mkdir -p {one}",
                f"mkfifo {place}/.pipe",
                f"cat {place}/* > /tmp/all; mv /tmp/all {one}",
                f"find {place} | sort > /tmp/names; mv /tmp/names {other}",
                f"sed -i s/one/{word}/ {one}",
            )
        )
    )


@st.composite
def _mounted(draw: Draw, number: int) -> str:
    word, file = draw(VALUES), draw(st.sampled_from(FILES))
    stage = f"from=s{draw(st.integers(0, number - 1))}," if number else ""
    return draw(
        st.sampled_from(
            (
                f"RUN --mount=type=bind,target=/m cat /m/a.txt /m/d/x > {file}; true",
                f"RUN --mount=type=bind,source=d,target=/m,rw echo {word} > /m/x; cp -r /m {file}; true",
                f"RUN --mount=type=bind,{stage}target=/m cp -a /m/w/. /w/in; true",
                f"RUN --mount=type=cache,target=/c,sharing=locked echo {word} > /c/{word}; cp /c/{word} {file}; true",
                f"RUN --mount=type=cache,target=/w/in {draw(_script())}; rm -rf /w/in/*",
                f"RUN --mount=type=tmpfs,target=/data {draw(_script())}",
            )
        )
    )


@st.composite
def edits(draw: Draw, project: Project) -> Edit:
    """A change of the project, such as a person makes between two builds."""
    return draw(draw(st.sampled_from(_EDITS))(project))


@st.composite
def _bytes(draw: Draw, project: Project) -> Edit:
    name, entry = _chosen(draw, project, ("file", "tar"))
    stealth = draw(st.booleans())
    flipped = entry.text[:-2] + ("?" if entry.text[-2:-1] != "?" else "!") + entry.text[-1:]
    text = flipped if stealth else f"{entry.text}more\n"
    return Edit(f"bytes of {name}", _with(project, {name: entry._replace(text=text)}), stealth=stealth)


@st.composite
def _mode(draw: Draw, project: Project) -> Edit:
    name, entry = _chosen(draw, project, ("file", "tar"))
    return Edit(f"mode of {name}", _with(project, {name: entry._replace(mode=entry.mode ^ 0o111)}))


@st.composite
def _added(draw: Draw, project: Project) -> Edit:
    name = draw(st.sampled_from([f"{folder}added{end}" for folder in ("", "d/", "g/") for end in ("", ".txt", ".md")]))
    return Edit(f"{name} added", _with(project, {name: Entry("file", draw(VALUES))}))


@st.composite
def _deleted(draw: Draw, project: Project) -> Edit:
    name, _ = _chosen(draw, project, ("file", "tar", "link"))
    return Edit(f"{name} deleted", _with(project, {}, without=name))


@st.composite
def _renamed(draw: Draw, project: Project) -> Edit:
    name, entry = _chosen(draw, project, ("file",))
    other = draw(st.sampled_from([each for each in ("new.txt", "d/new", "a.txt", "b.txt") if each != name]))
    return Edit(f"{name} renamed to {other}", _with(project, {other: entry}, without=name), moved=(name, other))


@st.composite
def _touched(draw: Draw, project: Project) -> Edit:
    names = draw(st.lists(st.sampled_from(sorted(project.files)), unique=True, min_size=1))
    return Edit("times", project, touched=tuple(names))


@st.composite
def _linked(draw: Draw, project: Project) -> Edit:
    name, _ = _chosen(draw, project, ("file", "tar", "link"))
    return Edit(f"{name} is a link", _with(project, {name: Entry("link", draw(st.sampled_from(("d/x", "a.txt"))))}))


@st.composite
def _ignored(draw: Draw, project: Project) -> Edit:
    entry = Entry("file", draw(st.sampled_from(("*\n!a.txt\n!d\n", "d\n", "b.txt\n**/x\n", "nothing\n"))))
    return Edit("other files are ignored", _with(project, {".dockerignore": entry}))


@st.composite
def _argument(draw: Draw, project: Project) -> Edit:
    return Edit("build args", project._replace(args={"KIND": draw(VALUES), "GIVEN": draw(VALUES)}))


@st.composite
def _instruction(draw: Draw, project: Project) -> Edit:
    """One line of a stage in place of another, before it, or none: the first and the last line stay."""
    number = draw(st.integers(0, len(project.stages) - 1))
    stage = project.stages[number]
    fresh = draw(draw(st.sampled_from(_kinds(number, runs=_runs(stage.base, project.stages)))))
    at = draw(st.integers(1, max(1, len(stage.lines) - 1)))
    how = draw(st.sampled_from(("inserted", "changed", "removed", "swapped")))
    lines = {
        "inserted": (*stage.lines[:at], fresh, *stage.lines[at:]),
        "changed": (*stage.lines[:at], fresh, *stage.lines[at + 1 :]),
        "removed": (*stage.lines[:at], *stage.lines[at + 1 :]),
        "swapped": (*stage.lines[: at - 1], *reversed(stage.lines[at - 1 : at + 1]), *stage.lines[at + 1 :]),
    }[how]
    stages = (*project.stages[:number], Stage(stage.base, lines), *project.stages[number + 1 :])
    return Edit(f"s{number}: line {at} {how}", project._replace(stages=stages))


@st.composite
def _rebased(draw: Draw, project: Project) -> Edit:
    number = draw(st.integers(0, len(project.stages) - 1))
    base = draw(st.sampled_from(["busybox", *(f"s{index}" for index in range(number))]))
    stages = (*project.stages[:number], project.stages[number]._replace(base=base), *project.stages[number + 1 :])
    return Edit(f"s{number}: FROM {base}", project._replace(stages=stages))


_EDITS = (
    *(_bytes, _bytes, _mode, _added, _deleted, _renamed, _touched, _linked, _ignored, _argument),
    *(_instruction, _instruction, _instruction, _rebased),
)


def _chosen(draw: Draw, project: Project, kinds: tuple[str, ...]) -> tuple[str, Entry]:
    names = sorted(name for name, entry in project.files.items() if entry.kind in kinds and name != ".dockerignore")
    name = draw(st.sampled_from(names))
    return name, project.files[name]


def _with(project: Project, changed: dict[str, Entry], without: str = "") -> Project:
    files = {name: entry for name, entry in project.files.items() if name != without}
    return project._replace(files={**files, **changed})


@st.composite
def changes(draw: Draw) -> tuple[Project, Edit]:
    """A project and what is done to it."""
    project = draw(projects())
    return project, draw(edits(project))
