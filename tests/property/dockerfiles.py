"""Dockerfiles by the hundred: a generator with a seed for the oracles, and Hypothesis strategies of the same stuff."""

import random

from hypothesis import strategies as st

WORDS = [
    "a",
    "b.txt",
    "/dir/",
    "$x",
    "${y:-z}",
    '"q r"',
    "'s'",
    "x\\ y",
    "--no",
    "é",
    "[",
    "]",
    "#",
    "a=b",
    "=",
    "<<",
    ".",
]
FLAGS = [
    "--from=build",
    "--chown=1:2",
    '--chown="a b"',
    "--chmod=644",
    "--link",
    "--link=true",
    "--link=maybe",
    "--link=",
    "--parents",
    "--exclude=*.md",
    "--keep-git-dir",
    "--checksum=sha256:ab",
    "--unpack=false",
    "--platform=linux/amd64",
    "--mount=type=cache,target=/c",
    "--mount=type=bind,from=$x,target=/c",
    "--mount=",
    "--network=none",
    "--network=nope",
    "--security=insecure",
    "--interval=3s",
    "--interval=3",
    "--retries=2",
    "--retries=-2",
    "--frmo=x",
    "--",
]
JSON = ['["a", "b"]', "[]", '["a"]', '["a", 1]', '["a"] b', "['a']", '["a",]', '[ "x" , "/y z" ]', "[null]", '["\\q"]']
FROMS = [
    "scratch",
    "alpine:3 AS build",
    "alpine as Two",
    "$BASE",
    "a b",
    "a AS 1x",
    "",
    "alpine AS a b",
    "--platform=x a",
]
HEREDOCS = ["<<EOF", "<<-EOF", "<<'EOF'", '<<"EOF"', "3<<EOF", "<<EOF <<END", "<<-'END'"]
KEYWORDS = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
]


def dockerfile(seed: int) -> str:
    """One Dockerfile. Every second or third is broken somewhere; the same seed gives the same text."""
    dice = random.Random(seed)
    risk = dice.choice([0.0, 0.0, 0.05, 0.3])
    lines: list[str] = []
    if dice.random() < 0.15:
        lines.append(dice.choice(["# syntax=docker/dockerfile:1", "# escape=\\", "# escape=`", "#!/x", "# a comment"]))
    if dice.random() < 0.2:
        lines.append("ARG BASE=alpine")
    if dice.random() > risk / 4:
        lines.append("FROM alpine:3 AS base")
    for _ in range(dice.randrange(1, 7)):
        lines += _instruction(dice, risk)
        lines += dice.choices([[], [""], ["# comment"], ["   # indented"], ["\t"]], [8, 1, 1, 1, 1])[0]
    ending = dice.choices(["\n", "\r\n"], [5, 1])[0]
    return ending.join(lines) + dice.choice(["", ending])


def _instruction(dice: random.Random, risk: float) -> list[str]:
    if dice.random() < risk / 3:
        return [dice.choice(["RUNN x", "FORM y", "cpoy a b", "-", "{", "RUN\u00a0x", "\\"])]
    keyword = dice.choice(KEYWORDS)
    written = keyword if dice.random() < 0.8 else keyword.lower()
    if dice.random() < risk:
        return [f"{written} {_anything(dice)}".rstrip() or written]
    return [f"{written} {line}" if number == 0 else line for number, line in enumerate(_good(dice, keyword))]


def _anything(dice: random.Random) -> str:
    parts = [dice.choice(FLAGS) for _ in range(dice.choice([0, 0, 1, 2]))]
    if dice.random() < 0.25:
        return " ".join([*parts, dice.choice(JSON)])
    return " ".join([*parts, *(dice.choice(WORDS) for _ in range(dice.randrange(4)))])


def _good(dice: random.Random, keyword: str) -> list[str]:
    if keyword in {"RUN", "COPY", "ADD"} and dice.random() < 0.3:
        return _heredoc(dice, keyword)
    if keyword == "RUN":
        flags = dice.choice(["", "--mount=type=cache,target=/c ", "--network=none ", "--mount=type=bind,target=/b,rw "])
        return _continued(dice, flags + dice.choice(["make", "echo hi", "true && false", '"q"']))
    if keyword in {"COPY", "ADD"}:
        flags = dice.choice(["", "--link ", "--chown=1:1 ", "--exclude=a --exclude=b ", "--chmod=755 --link=false "])
        return _continued(
            dice,
            flags + dice.choice(["a b", "a b c/", ". /src", '["a", "b"]']),
        )
    plain = {
        "ARG": ["x", "x=1", "x y=2", 'z="a b"'],
        "CMD": ["a", '["a", "b"]', "[broken"],
        "ENTRYPOINT": ["a b", '["a"]'],
        "ENV": ["a=b", "a=b c='d e'", "a b c", 'x="y z" w=$v'],
        "EXPOSE": ["80", "80 443/tcp", "$p"],
        "FROM": ["alpine", "alpine AS x", "scratch", "--platform=$BUILDPLATFORM a AS b-c"],
        "HEALTHCHECK": ["NONE", "CMD a", '--interval=1m --retries=3 CMD ["a"]', "--timeout=5s CMD a b"],
        "LABEL": ["a=b", 'a="b c" d=e', "old style"],
        "MAINTAINER": ["me", "Some Body <a@b>"],
        "ONBUILD": ["RUN a", "COPY a b", "ENV a=b"],
        "SHELL": ['["/bin/sh", "-c"]'],
        "STOPSIGNAL": ["9", "SIGTERM", "$s"],
        "USER": ["me", "1:2", "$u"],
        "VOLUME": ["/a", '["/a b"]', "/a /b"],
        "WORKDIR": ["/a", "b c", "$w/x"],
    }
    return _continued(dice, dice.choice(plain[keyword]))


def _continued(dice: random.Random, text: str) -> list[str]:
    if " " not in text or dice.random() < 0.7:
        return [text]
    first, rest = text.split(" ", 1)
    between = dice.choice([[], [""], ["# inside"], ["  # inside", "\t"]])
    return [f"{first} \\{dice.choice(['', ' ', chr(9)])}", *between, f"  {rest}"]


def _heredoc(dice: random.Random, keyword: str) -> list[str]:
    mark = dice.choice(HEREDOCS)
    tail = " /dest/" if keyword != "RUN" else dice.choice(["", " > /out"])
    lines = [f"{'cat ' if keyword == 'RUN' and dice.random() < 0.5 else ''}{mark}{tail}"]
    for name in ("EOF", "END"):
        if name in mark:
            lines += dice.sample(["RUN x", "$y \\", "", " EOF", "text 'q'", "# no comment"], dice.randrange(4))
            lines.append(f"\t{name}" if "<<-" in mark and dice.random() < 0.5 else name)
    return lines if dice.random() < 0.93 else lines[:-1]


_piece = st.one_of(
    st.sampled_from(WORDS + FLAGS + JSON + FROMS + HEREDOCS + KEYWORDS),
    st.text(alphabet="ab$ {}:-+?#%/\\\"'<>=,[]`\t#é\x0b\u00a0", max_size=8),
)
_line = st.builds(
    lambda keyword, pieces, end: " ".join([keyword, *pieces]) + end,
    st.sampled_from(
        [*KEYWORDS, "run", "#", "EOF", "END", "", "# escape=`", "FROM a\nRUN", "FROM a\nCOPY", "ONBUILD COPY"]
    ),
    st.lists(_piece, max_size=5),
    st.sampled_from(["\n", "\n", "\n", " \\\n", "`\n", "\r\n", "\nEOF\n", ""]),
)
dockerfile_texts = st.one_of(
    st.lists(_line, max_size=8).map("".join),
    st.lists(_line, max_size=6).map(lambda lines: "FROM alpine\n" + "".join(lines)),
    st.integers(0, 10**6).map(dockerfile),
    st.text(max_size=200),
)
