"""Where jettison is while it works: what py-spy saw of one run, reduced to a few rows.

py-spy leaves out a thread that waits, as long as it can ask the kernel about it. It asks by the number that the thread
has for itself, which in the keeper's pid namespace is another one: there every thread seems to run. So a sample whose
innermost line is a call that waits is left out here, whoever took it.
"""

from __future__ import annotations

import json
import linecache
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bench import meter
from bench.builders import Jettison, Job

PROGRAM = "py-spy"
RATE = 500  # samples a second, of every thread
ROWS = 10
OPTIONS = ("--subprocesses", "--nonblocking", "--rate", str(RATE), "--format", "raw")
IMPORTS = "imports: finding modules, loading them, running them"
# The function that only runs in such a process, the innermost process first: a fork keeps its parent's stack below it.
PROCESSES = (
    ("worker", "jettison/tree/conveyor.py:_work"),
    ("child", "jettison/sandbox/keeper.py:Loop._be_child"),
    ("keeper", "jettison/sandbox/keeper.py:main"),
)
# Functions that wait for what another of jettison's processes writes to a pipe, on lines that call these.
PIPES = {
    "jettison/tree/conveyor.py:_Worker._next": "pickle.load(",
    "jettison/tree/conveyor.py:_Ring.__next__": "os.read(",
    "jettison/layer/growing.py:Growing.read": "self._notes",
    "jettison/sandbox/archives.py:_unpack.<locals>.below": "os.read(",
}
_WAITS = re.compile(
    r"(?<![\w])(poll|select|recv|recv_fds|recvmsg|recv_into|accept|waitpid|waitid|wait|acquire|flock|sleep)\(|\.get\(\)"
)
_PROCESS = re.compile(r'process (\d+):"[^"]*";')
_FRAME = re.compile(r"(.*) \((.*?)(?::(\d+))?\)")

Text = Callable[[str, int], str]


class Frame(NamedTuple):
    """A place in a stack; `file` as py-spy shortens it: jettison/tree/commit.py, threading.py."""

    function: str
    file: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.file}:{self.function}"


class Stack(NamedTuple):
    """So many samples alike: the process, below those that made it, and its frames, the innermost last."""

    pids: tuple[int, ...]
    frames: tuple[Frame, ...]
    samples: int


class Row(NamedTuple):
    """So many samples of a function, without what it called in Python; the line that most of them were in."""

    process: str
    function: str
    line: str
    samples: int


class Profile(NamedTuple):
    """The rows, the largest first; all the samples that are in rows, and those left out because they waited."""

    rows: tuple[Row, ...]
    samples: int
    waiting: int


def stacks(raw: Iterable[str]) -> list[Stack]:
    """The lines of py-spy's `raw` format: `process PID:"COMMAND";FUNCTION (FILE:LINE);... COUNT`."""
    found = []
    for line in raw:
        text, _, count = line.rstrip("\n").rpartition(" ")
        pids = []
        while (process := _PROCESS.match(text)) is not None:
            pids.append(int(process[1]))
            text = text[process.end() :]
        frames = [Frame(part[1], part[2], int(part[3] or 0)) for part in map(_FRAME.fullmatch, text.split(";")) if part]
        if frames:
            found.append(Stack(tuple(pids), tuple(frames), int(count)))
    return found


def reduced(found: Sequence[Stack], text: Text) -> Profile:
    """Fold the stacks to rows; `text` gives a line of a file, or "" where it is not known."""
    kinds = _kinds(found)
    lines: dict[tuple[str, str], Counter[str]] = {}
    waiting = 0
    for stack in found:
        leaf = stack.frames[-1]
        line = text(leaf.file, leaf.line).partition("  # ")[0].strip()
        if _is_waiting(leaf, line):
            waiting += stack.samples
            continue
        function = _function(stack.frames)
        seen = lines.setdefault((kinds[stack.pids], function), Counter())
        seen["" if function == IMPORTS else line] += stack.samples
    rows = [Row(*key, seen.most_common(1)[0][0], seen.total()) for key, seen in lines.items()]
    rows.sort(key=lambda row: (-row.samples, row.process, row.function))
    return Profile(tuple(rows), sum(row.samples for row in rows), waiting)


def _kinds(found: Sequence[Stack]) -> dict[tuple[int, ...], str]:
    """What each process is. One of which only threads were seen is a child, unless it is the first of all."""
    names: dict[tuple[int, ...], set[str]] = {}
    for stack in found:
        names.setdefault(stack.pids, set()).update(frame.name for frame in stack.frames)
    return {
        pids: next((kind for kind, function in PROCESSES if function in seen), "driver" if len(pids) <= 1 else "child")
        for pids, seen in names.items()
    }


def _is_waiting(leaf: Frame, line: str) -> bool:
    pipe = PIPES.get(leaf.name)
    return bool(_WAITS.search(line)) or (pipe is not None and pipe in line)


def _function(frames: Sequence[Frame]) -> str:
    """The innermost function; where it is not jettison's, for which of jettison's it works, too."""
    if any(frame.file.startswith("<frozen importlib") for frame in frames):
        return IMPORTS
    leaf = frames[-1]
    ours = next((frame for frame in reversed(frames) if frame.file.startswith("jettison/")), leaf)
    return leaf.name if ours is leaf else f"{leaf.name} for {ours.name}"


def taken(ours: Jettison, job: Job) -> Profile | str:
    """The profile of one build, or why there is none."""
    program = shutil.which(PROGRAM)
    if program is None:
        return f"{PROGRAM} is not installed"
    try:
        raw = ours.watched((program, "record", *OPTIONS), job)
    except (meter.CommandError, OSError) as error:
        return f"{PROGRAM} could not do it: {str(error).strip().splitlines()[-1]}"
    profile = reduced(stacks(raw.splitlines()), _texts(ours.python))
    return profile if profile.samples else f"{PROGRAM} saw nothing"


def _texts(python: str) -> Text:
    """Lines of the modules that this Python imports."""
    asked = "import json, sysconfig as s; print(json.dumps([s.get_path('purelib'), s.get_path('stdlib')]))"
    done = subprocess.run([python, "-I", "-c", asked], capture_output=True, text=True, check=True)
    folders = json.loads(done.stdout)

    def text(file: str, line: int) -> str:
        return next(filter(None, (linecache.getline(os.path.join(folder, file), line) for folder in folders)), "")

    return text
