"""A tree back to text. Parsing the text gives a tree that means the same; blanks and line breaks are not kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec

from jettison.syntax import heredoc
from jettison.syntax.nodes import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Pair,
    Run,
    Shell,
    ShellForm,
    Stopsignal,
    Transfer,
    User,
    Volume,
    Word,
    Workdir,
)
from jettison.syntax.regex import lazy

Flags = list[tuple[str, str | None]]

_FLAG_QUOTED = lazy(r"([\s'\"\\])")
_FLAG_QUOTED_HARD = lazy(r"([\s'\"\\$])")


class _Parts(msgspec.Struct):
    """What an instruction is written from: its line behind the keyword, and the heredoc bodies below the line."""

    flags: Flags
    args: str
    heredocs: tuple[Heredoc, ...] = ()
    after_args: str = ""  # what stands below instead of heredocs


def render_dockerfile(dockerfile: Dockerfile) -> str:
    """The text of a whole Dockerfile, with its directives and the comments directly above instructions."""
    lines = [f"# {directive.name}={directive.value}" for directive in dockerfile.directives]
    lines.append("")  # what looks like a directive below stays a comment
    for instruction in dockerfile.instructions:
        lines += (f"# {comment}".rstrip() for comment in instruction.comments)
        lines += (render_instruction(instruction, dockerfile.escape), "")
    return "\n".join(lines)


def render_instruction(instruction: Instruction, escape: str = "\\") -> str:
    """The text of one instruction, heredoc bodies included, without a line end behind it."""
    name = type(instruction).__name__.upper()
    parts = _RENDERERS[type(instruction)](instruction)
    line = _line(name, parts, _FLAG_QUOTED)
    if len(heredoc.marks_of(line)) != len(parts.heredocs):  # a `$` in a flag keeps the line's heredocs from being seen
        line = _line(name, parts, _FLAG_QUOTED_HARD)
    text = _not_continued(line, escape) + parts.after_args
    for document in parts.heredocs:
        text += f"\n{document.body}{document.name}"
    return text


def _line(name: str, parts: _Parts, quoted: re.Pattern[str]) -> str:
    words = [name]
    for flag, value in parts.flags:
        words.append(f"--{flag}" if value is None else f"--{flag}={quoted.sub(_escaped, value)}")
    if parts.args.startswith("--"):
        words.append("--")
    if parts.args:
        words.append(parts.args)
    return " ".join(words)


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[1]


def _not_continued(line: str, escape: str) -> str:
    """The line, if need be with a vertical tab: no blank that a continuation may have, and dropped as a blank is."""
    return line + "\v" if line.endswith(escape) and line[-2:-1] != escape else line


def _json(items: Iterable[str]) -> str:
    return msgspec.json.encode(list(items)).decode()


def _command(command: Command) -> str:
    return _json(command.args) if isinstance(command, ExecForm) else command.text


def _value(flags: Flags, name: str, word: Word | None) -> None:
    if word is not None:
        flags.append((name, word.text))


def _truth(flags: Flags, name: str, value: bool | None) -> None:
    if value is not None:
        flags.append((name, "true" if value else "false"))


def _from(node: From) -> _Parts:
    flags: Flags = []
    _value(flags, "platform", node.platform)
    name = f" {node.as_keyword or 'AS'} {node.name.text}" if node.name is not None else ""
    return _Parts(flags, node.base.text + name)


def _run(node: Run) -> _Parts:
    flags: Flags = [("mount", ",".join(_field(key, value) for key, value in mount.fields)) for mount in node.mounts]
    if node.network is not None:
        flags.append(("network", node.network))
    if node.security is not None:
        flags.append(("security", node.security))
    flags += [("device", device) for device in node.devices]
    heredocs = node.command.heredocs if isinstance(node.command, ShellForm) else ()
    return _Parts(flags, _command(node.command), heredocs)


def _field(key: str, value: str | None) -> str:
    field = key if value is None else f"{key}={value}"
    return '"' + field.replace('"', '""') + '"' if '"' in field or "," in field else field


def _transfer(node: Transfer) -> _Parts:
    flags: Flags = []
    if isinstance(node, Copy):
        _value(flags, "from", node.from_)
        _truth(flags, "parents", node.parents or None)
    _value(flags, "chown", node.chown)
    _value(flags, "chmod", node.chmod)
    _truth(flags, "link", node.link or None)
    flags += [("exclude", pattern) for pattern in node.excludes]
    if isinstance(node, Add):
        _truth(flags, "keep-git-dir", node.keep_git_dir)
        _value(flags, "checksum", node.checksum)
        _truth(flags, "unpack", node.unpack)
    sources = [word.text for word in node.sources]
    if node.exec_form:
        return _Parts(flags, _json([*sources, node.dest.text]))
    marks = [_mark(document) for document in node.heredocs]
    # Marks first: between two words they could come to stand in a quote that spans both.
    return _Parts(flags, " ".join([*marks, *sources, node.dest.text]), node.heredocs)


def _mark(document: Heredoc) -> str:
    name = document.name if document.expand else '"' + re.sub(r'(["\\$])', r"\\\1", document.name) + '"'
    between = "-" if document.chomp else " " if name.startswith("-") else ""
    return f"{document.fd or ''}<<{between}{name}"


def _pairs(pairs: tuple[Pair, ...]) -> str:
    return " ".join(f"{pair.key.text}{' ' if pair.legacy else '='}{pair.value.text}" for pair in pairs)


def _arg(node: Arg) -> str:
    return " ".join(name.name if name.default is None else f"{name.name}={name.default.text}" for name in node.names)


def _volume(node: Volume) -> str:
    paths = [path.text for path in node.paths]
    return _json(paths) if node.exec_form else " ".join(paths)


def _healthcheck(node: Healthcheck) -> _Parts:
    if node.test is None:
        return _Parts([], "NONE")
    times = {
        "interval": node.interval_ns,
        "timeout": node.timeout_ns,
        "start-period": node.start_period_ns,
        "start-interval": node.start_interval_ns,
    }
    flags: Flags = [(name, f"{time}ns") for name, time in times.items() if time is not None]
    if node.retries is not None:
        flags.append(("retries", str(node.retries)))
    return _Parts(flags, f"CMD {_command(node.test)}")


def _onbuild(node: Onbuild) -> _Parts:
    line, newline, rest = node.text.partition("\n")
    return _Parts([], line, after_args=newline + rest)


_RENDERERS: dict[type[Instruction], Callable[..., _Parts]] = {
    Add: _transfer,
    Arg: lambda node: _Parts([], _arg(node)),
    Cmd: lambda node: _Parts([], _command(node.command)),
    Copy: _transfer,
    Entrypoint: lambda node: _Parts([], _command(node.command)),
    Env: lambda node: _Parts([], _pairs(node.pairs)),
    Expose: lambda node: _Parts([], " ".join(port.text for port in node.ports)),
    From: _from,
    Healthcheck: _healthcheck,
    Label: lambda node: _Parts([], _pairs(node.pairs)),
    Maintainer: lambda node: _Parts([], node.name),
    Onbuild: _onbuild,
    Run: _run,
    Shell: lambda node: _Parts([], _json(node.args)),
    Stopsignal: lambda node: _Parts([], node.signal.text),
    User: lambda node: _Parts([], node.user.text),
    Volume: lambda node: _Parts([], _volume(node)),
    Workdir: lambda node: _Parts([], node.path.text),
}
