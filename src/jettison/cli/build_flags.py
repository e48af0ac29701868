"""The values of `jettison build`'s flags as the request's own types. Reference §2.1: what docker buildx accepts."""

from __future__ import annotations

from jettison.app.request import OutputSpec, Secret, SshAgent
from jettison.base.errors import UsageError
from jettison.cli.arguments import boolean, fields

OUTPUT_TYPES = ("oci", "docker", "local", "tar", "image", "cacheonly")
OUTPUT_KEYS = ("type", "dest", "tar", "compression", "rewrite-timestamp", "name", "push")
COMPRESSIONS = ("gzip", "zstd", "uncompressed")
ABSENT = {
    "--annotation": "annotations are not built yet; a --label is in the image's config",
    "--attest": "attestations are not built yet: leave it out",
    "--builder": "there are no builders to choose from, jettison builds by itself: leave it out",
    "--cgroup-parent": "a step runs in the cgroup of jettison itself: start jettison in another one",
    "--debug": "JETTISON_DEBUG=1 in the environment shows where a fault of jettison lies",
    "--policy": "policies are not built yet: leave it out",
    "--resource": "limits of steps are not built yet: leave it out",
    "--ulimit": "limits of steps are not built yet: leave it out",
    "-D": "JETTISON_DEBUG=1 in the environment shows where a fault of jettison lies",
}
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def output(text: str) -> OutputSpec:
    """`-o type=oci,dest=app.tar`; a bare path is a directory of files, `-` a tar of them on standard output."""
    if text == "-":
        return OutputSpec(type="tar", dest="-")
    if "=" not in text:
        return _checked(OutputSpec(type="local", dest=text), {})
    given = fields(text, "--output")
    kind = given.pop("type", "")
    if kind not in OUTPUT_TYPES:
        raise _unknown_type(kind, text)
    compression = given.pop("compression", "gzip")
    if compression not in COMPRESSIONS:
        raise UsageError(f"--output compression={compression} is not one of: {', '.join(COMPRESSIONS)}")
    name = given.pop("name", "")
    spec = OutputSpec(
        type=kind,
        dest=given.pop("dest", ""),
        as_tar=boolean(given.pop("tar", "true"), "--output tar"),
        compression=compression,
        rewrite_timestamp=boolean(given.pop("rewrite-timestamp", "false"), "--output rewrite-timestamp"),
        names=tuple(part.strip() for part in name.split(",") if part.strip()),
    )
    return _checked(spec, given)


def _unknown_type(kind: str, text: str) -> UsageError:
    if not kind:
        return UsageError(f"--output {text}: a type is missing", hint=f"type is one of: {', '.join(OUTPUT_TYPES)}")
    if kind == "registry":
        return UsageError(
            "--output type=registry: pushing is not built yet", hint="write type=oci and push it with skopeo"
        )
    return UsageError(f"--output type={kind} is not one of: {', '.join(OUTPUT_TYPES)}")


def _checked(spec: OutputSpec, unread: dict[str, str]) -> OutputSpec:
    for habit in ("oci-mediatypes", "unpack", "compression-level", "force-compression", "store", "buildinfo"):
        unread.pop(habit, None)
    if boolean(unread.pop("push", "false"), "--output push"):
        raise _unknown_type("registry", "")
    if unread:
        raise UsageError(
            f"--output: unknown key {next(iter(unread))!r}", hint=f"it is one of: {', '.join(OUTPUT_KEYS)}"
        )
    if spec.type == "local" and spec.dest in ("", "-"):
        raise UsageError("--output type=local needs dest=DIRECTORY")
    if spec.type in ("oci", "docker") and not spec.as_tar and spec.dest in ("", "-"):
        raise UsageError(f"--output type={spec.type},tar=false needs dest=DIRECTORY")
    return spec


def secret(text: str) -> Secret:
    """`--secret id=ID[,src=PATH|,env=NAME][,rebuild=true]`. With neither source: the variable named ID where there is
    one, else a file.
    """
    import os

    given = fields(text, "--secret") if "=" in text else {"id": text}
    rebuild = boolean(given.pop("rebuild", "false"), "--secret rebuild")
    kind = given.pop("type", "")
    source = given.pop("src", None) or given.pop("source", None)
    variable = given.pop("env", None)
    name = given.pop("id", None) or source or variable
    if not name or given or kind not in ("", "file", "env"):
        raise UsageError(
            f"--secret {text} is not understood",
            hint="--secret id=NAME,src=PATH or id=NAME,env=VARIABLE[,rebuild=true]",
        )
    if source and kind == "env":
        source, variable = None, source
    if source is None and variable is None:
        source, variable = (None, name) if name in os.environ and kind != "file" else (name, None)
    return Secret(id=name, src=source, env=None if source is not None else variable, rebuild=rebuild)


def ssh(text: str) -> SshAgent:
    """`--ssh default`, `--ssh ID=SOCKET` or `--ssh ID=KEY[,KEY]`."""
    name, _, paths = text.partition("=")
    return SshAgent(id=name or "default", paths=tuple(path for path in paths.split(",") if path))


def pair(text: str, flag: str, hint: str | None = None) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageError naming `flag`."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"{flag} {text} is not NAME=VALUE", hint=hint)
    return name, value


def build_context(text: str) -> tuple[str, str]:
    """`NAME=SPEC`."""
    return pair(text, "--build-context", "SPEC is a directory, docker-image://REF, oci-layout://DIR[:TAG] or a URL")


def build_arg(text: str) -> tuple[str, str | None]:
    """`NAME=VALUE`, or a bare NAME whose value the environment gives."""
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError(f"--build-arg {text} is not NAME=VALUE")
    return name, value if equals else None


def size_bytes(text: str, flag: str) -> int:
    """`64m` and the like, in bytes (powers of 1,024, as docker reads them)."""
    number = text.strip().lower().removesuffix("b") or text
    unit = number[-1:] if number[-1:].isalpha() else ""
    digits = number.removesuffix(unit) if unit else number
    if unit not in _SIZES or not digits.isdigit():
        raise UsageError(f"{flag} {text} is not a size such as 64m")
    return int(digits) * _SIZES[unit]


def count(text: str, flag: str) -> int:
    """A whole number. Raises UsageError naming `flag`."""
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{flag} {text} is not a whole number")
    return int(text)
