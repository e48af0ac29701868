"""The syntax tree: frozen nodes, one type an instruction, each with its span and its words not yet expanded.

A word is kept as it was written (quotes, `$`, escapes): `syntax.words` expands it when a scope is known. Reference §1.1
and §1.2.
"""

from __future__ import annotations

import msgspec

from jettison.base.span import Source, Span


class Node(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What every node has: where it stands."""

    span: Span


class Word(msgspec.Struct, frozen=True):
    """One word as written, before quotes are removed and variables expanded."""

    text: str
    span: Span


class Heredoc(msgspec.Struct, frozen=True):
    """A heredoc: its name, its body (tabs already stripped for `<<-`), and whether its body is expanded."""

    name: str
    body: str
    expand: bool
    chomp: bool
    fd: int
    span: Span


class ShellForm(msgspec.Struct, frozen=True, tag=True):
    """The text given to the stage's SHELL. With heredocs, `text` is the first logical line only."""

    text: str
    heredocs: tuple[Heredoc, ...] = ()


class ExecForm(msgspec.Struct, frozen=True, tag=True):
    """A JSON array of strings."""

    args: tuple[str, ...]


Command = ShellForm | ExecForm


class Flag(msgspec.Struct, frozen=True):
    """`--name=value` as written; `value` is None for a bare boolean flag."""

    name: str
    value: str | None
    span: Span


class MountOption(msgspec.Struct, frozen=True):
    """One `--mount` flag of a RUN: its `key=value` fields in order, values unexpanded, a bare key's value None."""

    fields: tuple[tuple[str, str | None], ...]
    span: Span


class Directive(msgspec.Struct, frozen=True):
    """A parser directive: `syntax`, `escape` or `check` (name in lower case)."""

    name: str
    value: str
    span: Span


class Instruction(Node, frozen=True, kw_only=True):
    """What every instruction has.

    `keyword` is the keyword as written, `original` the whole instruction as one logical line: continuations joined,
    comments dropped, heredoc bodies not included (they stand in the node). `comments` are the comment lines directly
    above (without `#`), from which descriptions and `check=` skips are read.
    """

    keyword: str
    original: str
    comments: tuple[str, ...] = ()


class From(Instruction, frozen=True, kw_only=True):
    base: Word
    platform: Word | None = None
    name: Word | None = None  # as written; references compare in lower case
    as_keyword: str | None = None  # `AS` as written, for lint


class Run(Instruction, frozen=True, kw_only=True):
    command: Command
    mounts: tuple[MountOption, ...] = ()
    network: str | None = None
    security: str | None = None
    devices: tuple[str, ...] = ()


class Transfer(Instruction, frozen=True, kw_only=True):
    """What COPY and ADD share. A heredoc source stands in `heredocs`, not in `sources`."""

    sources: tuple[Word, ...]
    heredocs: tuple[Heredoc, ...] = ()
    dest: Word
    chown: Word | None = None
    chmod: Word | None = None
    link: bool = False
    excludes: tuple[str, ...] = ()
    exec_form: bool = False


class Copy(Transfer, frozen=True, kw_only=True):
    from_: Word | None = None
    parents: bool = False


class Add(Transfer, frozen=True, kw_only=True):
    keep_git_dir: bool | None = None
    checksum: Word | None = None
    unpack: bool | None = None


class Pair(msgspec.Struct, frozen=True):
    """`key=value` of ENV and LABEL, both as written. `legacy` marks the form `KEY rest of line`."""

    key: Word
    value: Word
    legacy: bool = False


class Env(Instruction, frozen=True, kw_only=True):
    pairs: tuple[Pair, ...]


class Label(Instruction, frozen=True, kw_only=True):
    pairs: tuple[Pair, ...]


class ArgName(msgspec.Struct, frozen=True):
    """One name of an ARG. `default` None is `ARG X` (unset), an empty word is `ARG X=` (set to empty)."""

    name: str
    default: Word | None
    span: Span
    description: str | None = None


class Arg(Instruction, frozen=True, kw_only=True):
    names: tuple[ArgName, ...]


class Workdir(Instruction, frozen=True, kw_only=True):
    path: Word


class User(Instruction, frozen=True, kw_only=True):
    user: Word


class Cmd(Instruction, frozen=True, kw_only=True):
    command: Command


class Entrypoint(Instruction, frozen=True, kw_only=True):
    command: Command


class Shell(Instruction, frozen=True, kw_only=True):
    args: tuple[str, ...]


class Expose(Instruction, frozen=True, kw_only=True):
    ports: tuple[Word, ...]


class Volume(Instruction, frozen=True, kw_only=True):
    paths: tuple[Word, ...]
    exec_form: bool = False


class Stopsignal(Instruction, frozen=True, kw_only=True):
    signal: Word


class Maintainer(Instruction, frozen=True, kw_only=True):
    name: str


class Healthcheck(Instruction, frozen=True, kw_only=True):
    """`test` None is NONE. Durations are in ns, None where the flag was not given."""

    test: Command | None
    interval_ns: int | None = None
    timeout_ns: int | None = None
    start_period_ns: int | None = None
    start_interval_ns: int | None = None
    retries: int | None = None


class Onbuild(Instruction, frozen=True, kw_only=True):
    """`trigger` is the parsed trigger; `text` what config.OnBuild stores (heredocs serialised again)."""

    trigger: Instruction
    text: str


class Dockerfile(msgspec.Struct, frozen=True):
    """A parsed Dockerfile. Instructions before the first FROM can only be ARG.

    `empty_continuations` are the empty lines inside continued instructions: taken, and warned about by lint.
    """

    source: Source
    escape: str
    directives: tuple[Directive, ...]
    instructions: tuple[Instruction, ...]
    empty_continuations: tuple[Span, ...] = ()

    def directive(self, name: str) -> str | None:
        """The value of a parser directive, or None."""
        return next((d.value for d in self.directives if d.name == name), None)
