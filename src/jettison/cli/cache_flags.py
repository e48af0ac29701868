"""The values of `--cache-from` and `--cache-to`. Reference §2.3: what docker buildx accepts, and `mounts=true`."""

from __future__ import annotations

from jettison.app.request import CacheSource, CacheTarget
from jettison.base.errors import UsageError
from jettison.cli.arguments import boolean, fields
from jettison.cli.build_flags import COMPRESSIONS

_FROM, _TO = "--cache-from", "--cache-to"
_SOURCES, _TARGETS = ("registry", "local"), ("registry", "local", "inline")
_MODES = ("min", "max")
# What other builders' caches need to be told, and ours does not.
_HABITS = ("compression-level", "force-compression", "image-manifest", "oci-mediatypes", "registry.insecure", "scope")


def cache_source(text: str) -> CacheSource:
    """`--cache-from type=registry,ref=NAME`, `type=local,src=DIR`, or a bare reference. Raises UsageError."""
    if "=" not in text:
        return CacheSource(type="registry", ref=_reference(text, _FROM))
    given = fields(text, _FROM)
    kind = _kind(given, _FROM, _SOURCES)
    tag, digest = given.pop("tag", "latest"), given.pop("digest", "")
    if kind == "registry":
        source = CacheSource(type=kind, ref=_reference(given.pop("ref", ""), _FROM))
    else:
        source = CacheSource(type=kind, src=_directory(given.pop("src", ""), _FROM, "src"), tag=tag, digest=digest)
    _all_read(given, _FROM)
    return source


def cache_target(text: str) -> CacheTarget:
    """`--cache-to type=registry,ref=NAME[,mode=max][,mounts=true]`, `type=local,dest=DIR`, `type=inline`, or a bare
    reference. Raises UsageError.
    """
    if "=" not in text and text != "inline":
        return CacheTarget(type="registry", ref=_reference(text, _TO))
    given = fields(text, _TO) if "=" in text else {"type": text}
    kind = _kind(given, _TO, _TARGETS)
    target = CacheTarget(
        type=kind,
        ref=_reference(given.pop("ref", ""), _TO) if kind == "registry" else "",
        dest=_directory(given.pop("dest", ""), _TO, "dest") if kind == "local" else "",
        tag=given.pop("tag", "latest"),
        mode=_one_of(given.pop("mode", "min"), "mode", _MODES),
        mounts=boolean(given.pop("mounts", "false"), f"{_TO} mounts"),
        compression=_one_of(given.pop("compression", "gzip"), "compression", COMPRESSIONS),
        ignore_error=boolean(given.pop("ignore-error", "false"), f"{_TO} ignore-error"),
    )
    _all_read(given, _TO)
    if kind == "inline" and (target.mode == "max" or target.mounts):
        raise UsageError(
            f"{_TO} type=inline holds what the image is made of, and nothing more", hint="type=registry or type=local"
        )
    return target


def _kind(given: dict[str, str], flag: str, known: tuple[str, ...]) -> str:
    kind = given.pop("type", "registry" if "ref" in given else "")
    if kind in known:
        return kind
    hint = f"type is one of: {', '.join(known)}"
    if not kind:
        raise UsageError(f"{flag}: a type is missing", hint=hint)
    raise UsageError(f"{flag} type={kind} is not one of: {', '.join(known)}", hint="a registry can hold any cache")


def _reference(text: str, flag: str) -> str:
    from jettison.oci.reference import parse_reference

    if not text:
        raise UsageError(f"{flag} type=registry needs ref=NAME")
    return str(parse_reference(text))


def _directory(path: str, flag: str, key: str) -> str:
    if not path:
        raise UsageError(f"{flag} type=local needs {key}=DIRECTORY")
    return path


def _one_of(value: str, key: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{_TO} {key}={value} is not one of: {', '.join(known)}")
    return value


def _all_read(given: dict[str, str], flag: str) -> None:
    unread = [key for key in given if key not in _HABITS]
    if unread:
        raise UsageError(f"{flag}: unknown key {unread[0]!r}")
