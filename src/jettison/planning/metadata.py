"""The instructions that change only the config, and WORKDIR, which may also make directories. Reference §1.4, §1.9."""

from __future__ import annotations

import msgspec

from jettison.oci.documents import Healthcheck as HealthcheckConfig
from jettison.planning import history
from jettison.planning.copy import shown_command
from jettison.planning.faults import FaultError
from jettison.planning.ops import MkdirOp
from jettison.planning.ports import exposed
from jettison.planning.scope import NEVER_ENVIRONMENT, source_date_epoch
from jettison.planning.signals import is_signal, near_signal
from jettison.planning.stage import Stage, Work
from jettison.syntax.cleanpath import clean
from jettison.syntax.nodes import (
    Arg,
    ArgName,
    Cmd,
    Command,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Pair,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)


def lower_env(work: Work, stage: Stage, node: Env) -> Stage:
    """ENV: all pairs are expanded before any is set."""
    pairs = _expanded(work, stage, node.pairs, node)
    environ, entries = dict(stage.environ), list(stage.runtime.env)
    for name, value in pairs:
        environ.pop(name, None)
        environ[name] = value
        _put(entries, name, value)
    text = " ".join(["ENV", *(f"{name}={value}" for name, value in pairs)])
    return stage.but(environ=environ).configured(env=tuple(entries)).noted(text)


def _expanded(work: Work, stage: Stage, pairs: tuple[Pair, ...], node: Env | Label) -> list[tuple[str, str]]:
    words = work.words(stage, node.span)
    return [(words.word(pair.key), words.word(pair.value)) for pair in pairs]


def _put(entries: list[str], name: str, value: str) -> None:
    """A name that is set keeps its place in the config."""
    for index, entry in enumerate(entries):
        if entry.partition("=")[0] == name:
            entries[index] = f"{name}={value}"
            return
    entries.append(f"{name}={value}")


def lower_arg(work: Work, stage: Stage, node: Arg) -> Stage:
    """ARG: each name may use the ones before it on the line."""
    shown: list[str] = []
    for name in node.names:
        value = _arg_value(work, stage, name)
        shown.append(name.name if value is None else f"{name.name}={value}")
        stage = _declared(stage, name.name, value)
    return stage.noted(" ".join(["ARG", *shown]))


def _arg_value(work: Work, stage: Stage, name: ArgName) -> str | None:
    """A build-arg's value, else the default, else the global one; None is unset, which is not empty."""
    if name.name in work.options.build_args:
        return work.options.build_args[name.name]
    if name.default is not None:
        return work.words(stage, name.span).word(name.default)
    return work.values.get(name.name)


def _declared(stage: Stage, name: str, value: str | None) -> Stage:
    stage = stage.but(args=(*stage.args, (name, value)))
    is_env = any(entry.partition("=")[0] == name for entry in stage.runtime.env)
    if value is None or is_env or name in NEVER_ENVIRONMENT:  # ENV wins, wherever it stands
        return stage
    environ = dict(stage.environ)
    environ.pop(name, None)
    environ[name] = value
    return stage.but(environ=environ)


def lower_workdir(work: Work, stage: Stage, node: Workdir) -> Stage:
    """WORKDIR: from here on the working directory, made if it is missing. `/` is always there."""
    written = work.words(stage, node.span).word(node.path)
    if work.warn is not None and not stage.workdir_set and not written.startswith("/"):
        message = f'Relative workdir "{written}" can have unexpected results if the base image changes'
        work.warn("WorkdirRelativePath", message, node.span)
    path = clean(written if written.startswith("/") else f"{stage.cwd}/{written}")
    stage = stage.configured(working_dir=path).but(workdir_set=True)
    if path == "/":
        return stage.noted("WORKDIR /")
    epoch = source_date_epoch(work.options, work.values)
    op = MkdirOp(path=path, user=stage.runtime.user, epoch=epoch)
    after = work.extend(stage, op, (), shown_command(node.original), node.span)
    return after.but(history=(*after.history, history.layer(f"WORKDIR {path}", after.tree)))


def lower_user(work: Work, stage: Stage, node: User) -> Stage:
    """USER: text, looked up when something runs."""
    user = work.words(stage, node.span).word(node.user)
    return stage.configured(user=user).noted(f"USER {user}")


def lower_cmd(_work: Work, stage: Stage, node: Cmd) -> Stage:
    """CMD."""
    args = _command(node.command, stage)
    stage = stage.configured(cmd=args or None, args_escaped=True).but(cmd_set=True)
    return stage.noted(f"CMD {history.go_quoted_list(args)}")


def lower_entrypoint(_work: Work, stage: Stage, node: Entrypoint) -> Stage:
    """ENTRYPOINT: an inherited CMD goes, one that this stage has set stays."""
    args = _command(node.command, stage)
    stage = stage.configured(entrypoint=args or None)
    if not stage.cmd_set:
        stage = stage.configured(cmd=None)
    return stage.noted(f"ENTRYPOINT {history.go_quoted_list(args)}")


def _command(command: Command, stage: Stage) -> tuple[str, ...]:
    return command.args if isinstance(command, ExecForm) else (*stage.shell, command.text)


def lower_shell(_work: Work, stage: Stage, node: Shell) -> Stage:
    """SHELL."""
    return stage.configured(shell=node.args).noted(f"SHELL {history.go_list(node.args)}")


def lower_label(work: Work, stage: Stage, node: Label) -> Stage:
    """LABEL: the last one of a name wins."""
    pairs = _expanded(work, stage, node.pairs, node)
    text = " ".join(["LABEL", *(f"{name}={value}" for name, value in pairs)])
    return stage.configured(labels={**stage.runtime.labels, **dict(pairs)}).noted(text)


def lower_maintainer(_work: Work, stage: Stage, node: Maintainer) -> Stage:
    """MAINTAINER."""
    config = msgspec.structs.replace(stage.config, author=node.name)
    return stage.but(config=config).noted(f"MAINTAINER {node.name}")


def lower_expose(work: Work, stage: Stage, node: Expose) -> Stage:
    """EXPOSE: words are split after they are expanded."""
    words = work.words(stage, node.span)
    ports = [port for word in node.ports for text in words.many(word.text, word.span) for port in exposed(text, word)]
    known = {**stage.runtime.exposed_ports, **{port: {} for port in ports}}
    return stage.configured(exposed_ports=known).noted(f"EXPOSE {history.go_list(ports)}")


def lower_volume(work: Work, stage: Stage, node: Volume) -> Stage:
    """VOLUME: config only; what is written below it later is kept."""
    words = work.words(stage, node.span)
    paths = [words.word(word) for word in node.paths]
    for path, word in zip(paths, node.paths, strict=True):
        if not path:
            raise FaultError("VOLUME specified can not be an empty string", word.span)
    known = {**stage.runtime.volumes, **{path: {} for path in paths}}
    return stage.configured(volumes=known).noted(f"VOLUME {history.go_list(paths)}")


def lower_stopsignal(work: Work, stage: Stage, node: Stopsignal) -> Stage:
    """STOPSIGNAL: a name or a number that Linux knows."""
    signal = work.words(stage, node.span).word(node.signal)
    if not is_signal(signal):
        raise FaultError(
            f"invalid signal: {signal}{near_signal(signal)}", node.signal.span, "write a name or a number: SIGTERM, 15"
        )
    return stage.configured(stop_signal=signal).noted(f"STOPSIGNAL {signal}")


def lower_healthcheck(_work: Work, stage: Stage, node: Healthcheck) -> Stage:
    """HEALTHCHECK: what is not given is 0, and the runtime's to choose. SHELL is not applied."""
    check = HealthcheckConfig(
        test=_test(node.test),
        interval=node.interval_ns or 0,
        timeout=node.timeout_ns or 0,
        start_period=node.start_period_ns or 0,
        start_interval=node.start_interval_ns or 0,
        retries=node.retries or 0,
    )
    return stage.configured(healthcheck=check).noted(history.healthcheck_text(check))


def _test(command: Command | None) -> tuple[str, ...]:
    if command is None:
        return ("NONE",)
    return ("CMD", *command.args) if isinstance(command, ExecForm) else ("CMD-SHELL", command.text)


def lower_onbuild(_work: Work, stage: Stage, node: Onbuild) -> Stage:
    """ONBUILD: kept for the stages and images that build on this one. It leaves no history."""
    return stage.configured(on_build=(*stage.runtime.on_build, node.text))
