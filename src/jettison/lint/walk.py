"""A walk through the stages that knows, at every instruction, which variables are set. Reference §1.3, §1.4.

It is lowering without its results: it goes through stages that the target does not reach, steps over what is wrong,
and bears with images that nobody has asked about; what depends on such an image it calls not sure.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jettison.base.span import Span
from jettison.lint.words import look
from jettison.oci.documents import ImageConfig
from jettison.planning.faults import FaultError
from jettison.planning.scope import NEVER_ENVIRONMENT
from jettison.planning.stage import DEFAULT_PATH, environ_of
from jettison.planning.stages import Declared
from jettison.planning.triggers import Trigger, triggers_of_image, triggers_of_stage
from jettison.syntax import nodes
from jettison.syntax.nodes import Word


class Text(msgspec.Struct, frozen=True):
    """One word of an instruction, expanded. `sure`: its value cannot be another one when the build runs."""

    value: str
    span: Span
    sure: bool = True


class Use(msgspec.Struct, frozen=True):
    """One instruction where it stands.

    `texts` are its words in order of `words_of`. `unset` are the names that no word should have used, with where;
    `names` those that were set, for who means well, given only when something is unset. `shell` and `workdir`: SHELL or
    WORKDIR has been set before, in this stage or those it builds on (SHELL also in the image).
    """

    node: nodes.Instruction
    texts: tuple[Text, ...]
    unset: tuple[tuple[str, Span], ...] = ()
    names: tuple[str, ...] = ()
    shell: bool = False
    workdir: bool = False


class _Scope:
    """What an instruction sees. `doubtful` are names whose value may be another one; `known`: the image is known."""

    __slots__ = ("declared", "doubtful", "env", "known", "shell", "values", "workdir")

    def __init__(self, config: ImageConfig | None) -> None:
        self.known = config is not None
        self.values: dict[str, str] = {"PATH": DEFAULT_PATH}
        if config is not None:
            self.values = environ_of(config, self.values)
        self.env = set(self.values)
        self.doubtful = set() if self.known else {"PATH"}
        self.declared: set[str] = set()
        self.shell = config is not None and bool(config.config.shell)
        self.workdir = False

    def copy(self) -> _Scope:
        """A scope that goes on from here."""
        other = _Scope(None)
        other.known, other.shell, other.workdir = self.known, self.shell, self.workdir
        other.values = dict(self.values)
        other.env, other.doubtful, other.declared = set(self.env), set(self.doubtful), set(self.declared)
        return other

    def set(self, name: str, value: str, *, sure: bool) -> None:
        """Give a name a value."""
        self.values[name] = value
        if sure:
            self.doubtful.discard(name)
        else:
            self.doubtful.add(name)


class Walk:
    """Goes through stages in order of the file. `values` are the global scope's."""

    def __init__(self, escape: str, build_args: dict[str, str], values: dict[str, str]) -> None:
        self._escape = escape
        self._build_args = build_args
        self._values = values
        self._scopes: list[_Scope] = []
        self._stages: list[Declared] = []
        self.uses: list[Use] = []

    def stage(self, stage: Declared, config: ImageConfig | None) -> None:
        """Go through one stage. `config` is its base's, None when that is not known, or is a stage."""
        scope = _Scope(config) if stage.parent is None else self._scopes[stage.parent].copy()
        # Where a context stands for the stage, the stages on top see that, and what is written here sees nothing.
        own = scope if stage.override is None else _Scope(None)
        for trigger in self._triggers(stage, config):
            self._look(own, trigger.instruction)
        for node in stage.instructions:
            self.uses.append(self._look(own, node))
        self._scopes.append(scope)
        self._stages.append(stage)

    def _triggers(self, stage: Declared, config: ImageConfig | None) -> tuple[Trigger, ...]:
        if stage.parent is not None:
            parent = self._stages[stage.parent]
            return triggers_of_stage(parent) if parent.override is None else ()
        try:
            return triggers_of_image(config.config.on_build or (), stage.node.span) if config is not None else ()
        except FaultError:
            return ()

    def _look(self, scope: _Scope, node: nodes.Instruction) -> Use:
        """One instruction: its words, then what it changes in the scope."""
        if isinstance(node, nodes.Arg):
            return self._arg(scope, node)
        reader = _Reader(scope, self._escape)
        texts = tuple(reader.text(word, heredoc=heredoc) for word, heredoc in words_of(node))
        unset = () if isinstance(node, nodes.Expose) else tuple(reader.unset.items())
        use = _use(scope, node, texts, unset)
        match node:
            case nodes.Env():
                for key, value in zip(texts[::2], texts[1::2], strict=True):
                    scope.set(key.value, value.value, sure=value.sure)
                    scope.env.add(key.value)
            case nodes.Shell():
                scope.shell = True
            case nodes.Workdir():
                scope.workdir = True
            case _:
                pass
        return use

    def _arg(self, scope: _Scope, node: nodes.Arg) -> Use:
        """ARG, where each name sees those before it on the line."""
        reader = _Reader(scope, self._escape)
        texts: list[Text] = []
        for name in node.names:
            value = Text(self._values.get(name.name, ""), name.span)
            is_set = name.name in self._values
            if name.name in self._build_args:
                value, is_set = Text(self._build_args[name.name], name.span), True
            elif name.default is not None:
                value, is_set = reader.text(name.default), True
            texts.append(value)
            scope.declared.add(name.name)
            if is_set and name.name not in scope.env and name.name not in NEVER_ENVIRONMENT:
                scope.set(name.name, value.value, sure=value.sure)
        return _use(scope, node, tuple(texts), tuple(reader.unset.items()))


def _use(scope: _Scope, node: nodes.Instruction, texts: tuple[Text, ...], unset: tuple[tuple[str, Span], ...]) -> Use:
    names = tuple(scope.values) if unset else ()
    return Use(node, texts, unset, names, scope.shell, scope.workdir)


class _Reader:
    """Expands the words of one instruction, and keeps what was unset: each name once, where it stands first."""

    def __init__(self, scope: _Scope, escape: str) -> None:
        self._scope = scope
        self._escape = escape
        self.unset: dict[str, Span] = {}

    def text(self, word: Word, *, heredoc: bool = False) -> Text:
        """One word."""
        scope = self._scope
        looked = look(word.text, scope.values.get, self._escape, heredoc=heredoc)
        if scope.known:
            for name in looked.unset:
                if name not in scope.declared and name not in NEVER_ENVIRONMENT:
                    self.unset.setdefault(name, word.span)
        if looked.value is None:
            return Text("", word.span, sure=False)
        doubtful = scope.doubtful and not scope.doubtful.isdisjoint(looked.matched)
        return Text(looked.value, word.span, sure=not doubtful and (scope.known or not looked.unset))


def words_of(node: nodes.Instruction) -> Iterator[tuple[Word, bool]]:
    """The words of an instruction that are expanded, and whether each is the body of a heredoc. Reference §1.3.

    Of ENV and LABEL they are key, value, key, value…; of COPY and ADD the sources come first.
    """
    match node:
        case nodes.Transfer():
            yield from _words_of_transfer(node)
        case nodes.Env(pairs=pairs) | nodes.Label(pairs=pairs):
            for pair in pairs:
                yield pair.key, False
                yield pair.value, False
        case nodes.Run(mounts=mounts):
            for mount in mounts:
                for key, value in mount.fields:
                    if value and key != "from":
                        yield Word(value, mount.span), False
        case nodes.Workdir(path=word) | nodes.User(user=word) | nodes.Stopsignal(signal=word):
            yield word, False
        case nodes.Volume(paths=words) | nodes.Expose(ports=words):
            for word in words:
                yield word, False
        case _:
            return


def _words_of_transfer(node: nodes.Transfer) -> Iterator[tuple[Word, bool]]:
    for source in node.sources:
        yield source, False
    yield node.dest, False
    for flag in (node.chown, node.chmod, node.checksum if isinstance(node, nodes.Add) else None):
        if flag is not None:
            yield flag, False
    for heredoc in node.heredocs:
        if heredoc.expand:
            yield Word(heredoc.body, heredoc.span), True
