"""The front: a Dockerfile's text to its tree, or to everything that is wrong with it. Reference §1.1."""

from __future__ import annotations

from jettison.base.errors import Diagnostic, DockerfileError
from jettison.base.span import Source, Span
from jettison.syntax import heredoc
from jettison.syntax.directives import read_directives
from jettison.syntax.instructions import PARSERS, check_trigger, parse_request
from jettison.syntax.jsonform import NotStringsError, parse_json
from jettison.syntax.lines import Lines
from jettison.syntax.nodes import Dockerfile, Instruction
from jettison.syntax.request import FaultError, Request
from jettison.syntax.suggest import closest


def parse_dockerfile(source: Source) -> Dockerfile:
    """The tree of a Dockerfile. Raises DockerfileError with all that is wrong, in order of place."""
    lines = Lines(source.text)
    directives = read_directives(lines)
    instructions = _Reader(lines, stages=True).all()
    if not lines.seen_text and not lines.faults:
        place = Span(max(1, lines.number), 0, max(1, lines.number), 0)
        lines.faults.append(Diagnostic("file with no instructions", place, "begin with FROM image, or FROM scratch"))
    _raise(source, lines.faults)
    return Dockerfile(source, lines.escape, directives, tuple(instructions), tuple(lines.empty_continuations))


def parse_instruction(text: str, name: str = "ONBUILD", escape: str = "\\") -> Instruction:
    """The instruction of a stored ONBUILD trigger, which may hold heredocs. `name` is what messages call the text.

    Raises DockerfileError: also for more or less than one instruction, and for what a trigger may not be.
    """
    source = Source(name, text)
    lines = Lines(text)
    lines.escape = escape
    instructions = _Reader(lines, stages=False).all()
    if not lines.faults and len(instructions) != 1:
        lines.faults.append(Diagnostic("onbuild trigger should be a single expression", Span(1, 0, 1, 0)))
    _raise(source, lines.faults)
    return instructions[0]


def _raise(source: Source, faults: list[Diagnostic]) -> None:
    if faults:
        ordered = sorted(faults, key=lambda fault: (fault.span.start_line, fault.span.start_col))
        raise DockerfileError(source, tuple(ordered))


class _Reader:
    """Reads instruction after instruction; a broken one is noted and left out."""

    def __init__(self, lines: Lines, *, stages: bool) -> None:
        self._lines = lines
        self._in_stage = not stages
        self._triggers = not stages

    def all(self) -> list[Instruction]:
        instructions: list[Instruction] = []
        while line := self._lines.next_instruction():
            request = Request(line, 0, self._lines.escape, self._lines.faults)
            self._read_heredocs(request)
            try:
                if self._triggers:
                    check_trigger(request)
                self._check_stage(request)
                instructions.append(parse_request(request))
            except FaultError as fault:
                self._lines.faults.append(fault.diagnostic)
        return instructions

    def _check_stage(self, request: Request) -> None:
        """Before the first FROM there is nothing but ARG. Said once, and not after a FROM that is only misspelt."""
        if self._in_stage or request.name == "ARG":
            return
        if closest(request.keyword, ("FROM",)):
            self._in_stage = True
        elif request.name in PARSERS:
            self._in_stage = True
            hint = "begin the file with FROM image, or FROM scratch; only ARG may stand before it"
            raise request.fail("no build stage in current context", hint, request.keyword_span())

    def _read_heredocs(self, request: Request) -> None:
        """Consumes the bodies that belong to the instruction, even when it is broken otherwise."""
        if "<<" not in request.line.text:
            return
        command = request
        if request.name == "ONBUILD":
            command = Request(request.line, request.args_start, request.escape, [])
        likely = command.name if command.name in PARSERS else closest(command.keyword, heredoc.INSTRUCTIONS)
        if likely in heredoc.INSTRUCTIONS and not _is_json(command.args):
            request.heredocs = heredoc.read_bodies(request.line, self._lines)


def _is_json(text: str) -> bool:
    try:
        return parse_json(text) is not None
    except NotStringsError:
        return True
