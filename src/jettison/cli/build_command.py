"""`jettison build`: flags to a BuildRequest, events to the terminal, the result to standard output."""

from __future__ import annotations

import os
import sys
import threading

from jettison.app.request import BuildRequest, BuildResult, CacheSource, CacheTarget, OutputSpec
from jettison.base.errors import StepError, UsageError
from jettison.cli import build_flags as flags
from jettison.cli.arguments import Given, Parser, say

DESCRIPTION = """Build an image from a Dockerfile, as `docker buildx build` would.

PATH is the build context: a directory, `-` (a tar, or a Dockerfile, on standard input), or the URL of a git
repository or tar. Without -o the image stays in the local store: `jettison images`, `jettison run`.
"""
PROGRESS = ("auto", "plain", "quiet", "tty", "none", "rawjson")


def run(args: list[str]) -> int:
    """Parse, build, print. Returns the exit code."""
    given = _parser().read(args)
    request = _request(given)
    if given.check or given.call != "build":
        from jettison.cli.call_show import answer, chosen_call

        call = chosen_call(given.call, check=given.check)
        if call.method != "build":
            return answer(call, request)
    _refuse(given)
    _check_files(given)
    from jettison.app.build import build
    from jettison.cli.show import listener

    quiet = given.quiet or given.progress in ("quiet", "none")
    show = listener("quiet" if quiet else given.progress, sys.stderr)
    try:
        with show:
            result = build(request, on_event=show, cancel=_cancel_on_signals())
    except StepError as error:
        _print_tail(error, show.streamed_output)
        raise
    _write_files(given, result)
    if not quiet and given.progress != "rawjson":
        _say_made(result)
        _say_found(result)
    if given.quiet:
        from jettison.cli.metadata import image_id

        print(image_id(result))
    return 0


def _say_made(result: BuildResult) -> None:
    """The images' ids, and the names that they have in the local store."""
    from jettison.oci.reference import parse_reference

    for image in result.images:
        names = ", ".join(parse_reference(name).familiar for name in image.names)
        say(f"image {image.config_digest[7:19]}{' is ' if names else ''}{names}")


def _say_found(result: BuildResult) -> None:
    """How many of the warnings came from build checks: at the end, where people look."""
    if not result.record.warnings:
        return
    from jettison.lint.registry import ABOUT

    count = sum(text.partition(":")[0] in ABOUT for text in result.record.warnings)
    if count:
        say(f"{count} {'warning' if count == 1 else 'warnings'} found (use --check to expand)")


def _print_tail(error: StepError, already_shown: bool) -> None:
    if error.tail and not already_shown:
        say("------")
        for line in error.tail:
            say(line)
        say("------")


def _cancel_on_signals() -> threading.Event:
    """An event that Ctrl-C, SIGTERM and a closed terminal set: the build then ends its steps and raises Cancelled."""
    import signal

    cancel = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        cancel.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup's wish
        signal.signal(signal.SIGHUP, stop)
    return cancel


def _refuse(given: Given) -> None:
    """What docker does and we do not yet. `--provenance=false` and `--sbom=false` ask for what is done anyway."""
    if given.push:
        raise UsageError("--push: pushing is not built yet", hint="-o type=oci,dest=app.tar and push it with skopeo")
    for flag, wanted in (("--provenance", given.provenance), ("--sbom", given.sbom)):
        if wanted:
            raise UsageError(f"{flag}: attestations are not built yet", hint=f"{flag}=false, or leave it out")


def _check_files(given: Given) -> None:
    """Before the build: whether the files that are written after it can be."""
    for path, flag in ((given.iidfile, "--iidfile"), (given.metadata_file, "--metadata-file")):
        if path and (not os.path.isdir(os.path.dirname(path) or ".") or os.path.isdir(path)):
            what = "it is a directory" if os.path.isdir(path) else f"there is no directory {os.path.dirname(path)}"
            raise UsageError(
                f"{flag} {path} cannot be written: {what}", hint="name a file in a directory that is there"
            )


def _write_files(given: Given, result: BuildResult) -> None:
    if not given.iidfile and not given.metadata_file:
        return
    from jettison.cli.metadata import image_id, metadata_json

    if given.iidfile and result.images:
        _write(given.iidfile, image_id(result).encode(), "--iidfile")
    if given.metadata_file:
        _write(given.metadata_file, metadata_json(result), "--metadata-file")


def _write(path: str, data: bytes, flag: str) -> None:
    aside = f"{path}.{os.getpid()}.part"
    try:
        with open(aside, "wb") as file:
            file.write(data)
        os.replace(aside, path)
    except OSError as error:
        raise UsageError(
            f"{flag} {path}: {error.strerror}", hint="name a file in a directory that you may write"
        ) from None


def _request(given: Given) -> BuildRequest:
    outputs = tuple(flags.output(text) for text in given.output)
    if given.load and not outputs:
        outputs = (OutputSpec(type="image"),)
    text, dockerfile = _dockerfile(given)
    return BuildRequest(
        context=given.context,
        dockerfile=dockerfile,
        dockerfile_text=text,
        target=given.target or None,
        tags=tuple(given.tag),
        build_args=dict(flags.build_arg(text) for text in given.build_arg),
        build_contexts=dict(flags.build_context(text) for text in given.build_context),
        labels=dict(_label(text) for text in given.label),
        secrets=tuple(flags.secret(text) for text in given.secret),
        ssh=tuple(flags.ssh(text) for text in given.ssh),
        platforms=tuple(part.strip() for text in given.platform for part in text.split(",") if part.strip()),
        outputs=outputs,
        network=given.network,
        add_hosts=tuple(given.add_host),
        allow=tuple(part for text in given.allow for part in text.split(",")),
        shm_size_bytes=flags.size_bytes(given.shm_size, "--shm-size") if given.shm_size else 64 << 20,
        cache_from=_cache_from(given.cache_from),
        cache_to=_cache_to(given.cache_to),
        no_cache=given.no_cache,
        no_cache_filter=tuple(part for text in given.no_cache_filter for part in text.split(",") if part),
        pull=given.pull,
        isolation=given.isolation,
        jobs=flags.count(given.jobs, "--jobs"),
        source_date_epoch=_epoch(),
    )


def _cache_from(texts: list[str]) -> tuple[CacheSource, ...]:
    if not texts:
        return ()
    from jettison.cli.cache_flags import cache_source

    return tuple(cache_source(text) for text in texts)


def _cache_to(texts: list[str]) -> tuple[CacheTarget, ...]:
    if not texts:
        return ()
    from jettison.cli.cache_flags import cache_target

    return tuple(cache_target(text) for text in texts)


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise UsageError(f"--label {text!r} is not NAME=VALUE")
    return name, value


def _dockerfile(given: Given) -> tuple[str | None, str | None]:
    """(text, path): `-f -` reads the text from standard input."""
    if given.file != "-":
        return None, given.file
    if given.context == "-":
        raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape"), None


def _epoch() -> int | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is seconds since 1970, not {text!r}")
    return int(text)


def _parser() -> Parser:
    parser = Parser("build", "[OPTIONS] PATH|URL|-", DESCRIPTION)
    add = parser.option
    many = parser.repeated
    parser.word("context", "PATH", "the build context (default: the current directory)", required=False, default=".")
    many("-t", "--tag", metavar="NAME", about="name of the image, in the local store and in what -o writes")
    add("-f", "--file", metavar="FILE", about="the Dockerfile (default: PATH/Dockerfile; `-`: standard input)")
    many("-o", "--output", metavar="SPEC", about="type=oci|docker|tar|local|image|cacheonly[,dest=PATH,...]")
    add("--target", metavar="STAGE", about="the stage to build (default: the last)")
    many("--build-arg", metavar="NAME[=VALUE]", about="value of an ARG; a bare name takes the environment's")
    many("--build-context", metavar="NAME=SPEC", about="DIR, docker-image://REF, oci-layout://DIR[:TAG] or URL")
    many(
        "--secret",
        metavar="SPEC",
        about="id=NAME,src=FILE or id=NAME,env=VARIABLE[,rebuild=true], for RUN --mount=type=secret",
    )
    many("--ssh", metavar="default|ID=PATH", about="an ssh agent's socket, or private keys, for RUN --mount=type=ssh")
    many("--label", metavar="NAME=VALUE", about="a label of the image")
    many("--platform", metavar="OS/ARCH", about="the platform to build for (default: this machine's)")
    many("--cache-from", metavar="SPEC", about="use results of elsewhere: type=registry,ref=NAME or type=local,src=DIR")
    many("--cache-to", metavar="SPEC", about="put them there: likewise, dest=DIR, type=inline, mode=max, mounts=true")
    parser.flag("--no-cache", about="run every step")
    many("--no-cache-filter", metavar="STAGE", about="run every step of these stages")
    parser.flag("--pull", about="ask the registry again for every base")
    add("--network", metavar="MODE", default="default", about="network of RUN: default (the host's), none or host")
    many("--add-host", metavar="NAME:IP", about="a line in /etc/hosts of RUN")
    many("--allow", metavar="ENTITLEMENT", about="network.host or security.insecure")
    add("--shm-size", metavar="SIZE", about="size of /dev/shm in RUN (default: 64m)")
    add("--isolation", metavar="TIER", about="root or rootless (default: what works here: `jettison doctor`)")
    add("--jobs", metavar="N", default="0", about="steps that run at once (default: 4 a processor, at least 16)")
    add("--iidfile", metavar="FILE", about="write the image id to FILE")
    add("--metadata-file", metavar="FILE", about="write digests and the build record's place to FILE, as JSON")
    add(
        "--progress",
        metavar="MODE",
        default=os.environ.get("BUILDKIT_PROGRESS") or "auto",
        choices=PROGRESS,
        about="auto, plain, tty, quiet or rawjson",
    )
    parser.flag("--check", about="look for what is legal and yet most likely not meant, and build nothing")
    add("--call", metavar="METHOD", default="build", about="build, check, outline or targets[,format=json]")
    parser.flag("-q", "--quiet", about="print the image id alone")
    parser.flag("--load", about="keep the image in the local store (the default without -o)")
    parser.flag("--push", about="not built yet")
    parser.flag("--provenance", about="not built yet; --provenance=false is what is done")
    parser.flag("--sbom", about="not built yet; --sbom=false is what is done")
    parser.absent(flags.ABSENT)
    return parser
