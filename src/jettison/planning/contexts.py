"""Named contexts: which name means which, and what a spec asks for. Reference §1.10."""

from __future__ import annotations

from jettison.base.errors import InputError
from jettison.oci.documents import Platform
from jettison.oci.platform import format_platform, parse_platform
from jettison.oci.reference import DEFAULT_TAG, Reference, parse_reference
from jettison.planning.needs import LowerOptions
from jettison.planning.ops import GitOp, HttpOp, LocalOp
from jettison.planning.remotes import UNNAMED, git_source, url_filename

RESERVED = frozenset({"scratch", "context"})
IMAGE = "docker-image://"
LAYOUT = "oci-layout://"

_REMOTE = ("http://", "https://", "git://", "ssh://", "git@")


def familiar(name: str) -> str:
    """A context's name as names are compared: `docker.io/library/busybox:latest` is `busybox`."""
    try:
        reference = parse_reference(name)
    except InputError:
        return name.lower()
    plain: Reference = reference
    return plain.familiar.removesuffix(f":{DEFAULT_TAG}") if not plain.digest else plain.familiar


def context_for(name: str, platform: str, options: LowerOptions) -> str | None:
    """The name, as it was given, of the context that stands for `name` on `platform`, or None.

    `name::platform` is preferred over `name`; `scratch` and `context` mean themselves.
    """
    if not options.contexts or name.lower() in RESERVED:
        return None
    wanted = familiar(name)
    plain: str | None = None
    for given in options.contexts:
        base, separator, narrowed = given.partition("::")
        if familiar(base) != wanted:
            continue
        if separator and _same_platform(narrowed, platform):
            return given
        if not separator:
            plain = given
    return plain


def _same_platform(text: str, platform: str) -> bool:
    host = Platform(os="linux", architecture="amd64")
    try:
        return format_platform(parse_platform(text, host)) == format_platform(parse_platform(platform, host))
    except InputError:
        return False


def image_ref(spec: str) -> str | None:
    """What a context's spec asks a NeedImage for: a reference or an OCI layout; None when it is no image.

    Raises InputError for a reference that is none.
    """
    if spec.startswith(LAYOUT):
        return spec
    if spec.startswith(IMAGE):
        return str(parse_reference(spec.removeprefix(IMAGE)))
    return None


def source_op(name: str, spec: str) -> LocalOp | HttpOp | GitOp:
    """The op that reads a context which is no image. Raises InputError for a git URL that makes no sense."""
    if spec.startswith("github.com/"):  # the short form, of contexts only
        spec = f"https://{spec}" if ".git" in spec else f"https://{spec.partition('#')[0]}.git" + _fragment(spec)
    if spec.startswith(_REMOTE):
        git = git_source(spec)
        return git.op() if git is not None else HttpOp(url=spec, filename=_filename(spec))
    return LocalOp(name=name)


def _filename(spec: str) -> str:
    """What the one file of an HTTP context is called: as its address ends, as BuildKit has it."""
    name = url_filename(spec)
    return "download" if name == UNNAMED else name


def _fragment(spec: str) -> str:
    head, mark, fragment = spec.partition("#")
    return mark + fragment if head else ""
