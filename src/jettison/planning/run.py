"""RUN: what is executed, with which environment and mounts. Reference §1.2, §1.8."""

from __future__ import annotations

from jettison.planning import history
from jettison.planning.copy import shown_command
from jettison.planning.faults import FaultError
from jettison.planning.ops import AnyMount, RunFile, RunOnly, RunOp
from jettison.planning.stage import Stage, Work
from jettison.syntax.heredoc import lone_mark
from jettison.syntax.nodes import Command, ExecForm, Run, ShellForm

SCRIPTS = "/dev/pipes"
DEFAULT_HOSTNAME = "buildkitsandbox"


def lower_run(work: Work, stage: Stage, node: Run) -> Stage:
    """RUN."""
    if node.devices:
        hint = "devices of the host are not given to steps; leave --device out"
        raise FaultError("RUN --device is not supported", node.span, hint)
    args, files = arguments(node.command, stage.shell)
    if not args:
        raise FaultError("arguments are required", node.span, "name a command between the brackets")
    mounts, inputs, owned = _mounts(work, stage, node)
    emptied = tuple(dict.fromkeys(owned)) if stage.ignore_cache else ()  # reference §1.8
    op = RunOp(
        args=args,
        env=tuple(stage.environ.items()),
        cwd=stage.cwd,
        user=stage.runtime.user,
        mounts=mounts,
        files=files,
        network=node.network or work.options.network,
        security=node.security or "sandbox",
        hostname=hostname(work),
        shm_size_bytes=work.options.shm_size_bytes,
        extra_hosts=work.options.extra_hosts,
        run_only=RunOnly(proxy_env=work.proxies, ignore_cache=stage.ignore_cache, emptied=emptied),
    )
    after = work.extend(stage, op, inputs, display(node), node.span)
    declared = [(name, stage.environ.get(name, value or "")) for name, value in stage.args]
    text = history.run_text(args, declared)
    return after.but(history=(*after.history, history.layer(text, after.tree)))


def _mounts(work: Work, stage: Stage, node: Run) -> tuple[tuple[AnyMount, ...], tuple[str, ...], tuple[str, ...]]:
    """The mounts, the steps that they read, and the ids of caches with an owner or a mode."""
    if not node.mounts:
        return (), (), ()
    from jettison.planning.mounts import MountReader

    reader = MountReader(work=work, stage=stage, words=work.words(stage, node.span))
    return reader.read(node.mounts), tuple(reader.inputs), tuple(reader.owned)


def hostname(work: Work) -> str:
    """The name that a step's machine has."""
    given = work.options.hostname or work.options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME")
    return given or DEFAULT_HOSTNAME


def arguments(command: Command, shell: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[RunFile, ...]]:
    """What is executed, and the script that must lie in the tree for it.

    A heredoc alone is the script: with a `#!` it becomes a file that the shell starts, else the shell's own text. With
    anything else on the line the shell gets it all, and reads the heredocs itself.
    """
    if isinstance(command, ExecForm):
        return command.args, ()
    if not command.heredocs:
        return (*shell, command.text), ()
    if lone_mark(command.text.strip()) is None:
        bodies = "".join(f"\n{heredoc.body}{heredoc.name}" for heredoc in command.heredocs)
        return (*shell, command.text + bodies), ()
    script = command.heredocs[0]
    if not script.body.startswith("#!"):
        return (*shell, script.body), ()
    file = RunFile(f"{SCRIPTS}/{script.name}", script.body)
    return (*shell, file.path), (file,)


def display(node: Run) -> str:
    """The instruction for people; a lone heredoc with the first line of its script."""
    text = shown_command(node.original)
    command = node.command
    if not isinstance(command, ShellForm) or not command.heredocs or lone_mark(command.text.strip()) is None:
        return text
    lines = command.heredocs[0].body.strip().splitlines() or [""]
    return f"{text} ({lines[0]}{'...' if len(lines) > 1 else ''})"
