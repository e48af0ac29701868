"""Image references, parsed and normalised as Docker does: `busybox` is `docker.io/library/busybox:latest`. Pure."""

from __future__ import annotations

import re

import msgspec

from jettison.base.digest import is_digest
from jettison.base.errors import InputError

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
MAX_NAME_LENGTH = 255  # of domain and path together, as in Docker

_HOST = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_DOMAIN = rf"(?:{_HOST}(?:\.{_HOST})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?"  # compiled for another than the default one
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """An image's full name. At least one of `tag` and `digest` is set; with both, the digest decides.

    `domain` may carry a port. `path` has no leading slash.
    """

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Domain and path: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def selector(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def familiar(self) -> str:
        """The short form in which people write it: `busybox:latest`."""
        return self._suffixed(familiar_name(self))

    def __str__(self) -> str:
        """The canonical form: `docker.io/library/busybox:latest`."""
        return self._suffixed(self.name)

    def _suffixed(self, name: str) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{name}{tag}@{self.digest}" if self.digest else name + tag


def familiar_name(reference: Reference) -> str:
    """Domain and path without what Docker adds by itself: `busybox`, `user/app`, `ghcr.io/user/app`."""
    if reference.domain != DEFAULT_DOMAIN:
        return reference.name
    short = reference.path.removeprefix("library/")
    candidates = (short, reference.path) if "/" not in short else (reference.path,)
    whole = (reference.domain, reference.path)
    return next((name for name in candidates if _split_domain(name) == whole), reference.name)


def parse_reference(text: str) -> Reference:
    """The reference that `text` names, with what Docker adds: the domain, `library/`, `:latest`.

    Raises InputError that says which part is wrong, with a hint.
    """
    name, digest = _split_digest(text)
    name, tag = _split_tag(name, text)
    domain, path = _split_domain(name)
    _check_name(domain, path, text)
    return Reference(domain=domain, path=path, tag=tag or ("" if digest else DEFAULT_TAG), digest=digest)


def with_digest(reference: Reference, digest: str) -> Reference:
    """The same image pinned to `digest`."""
    return msgspec.structs.replace(reference, digest=digest)


def is_reference(text: str) -> bool:
    """Whether `parse_reference` takes `text`."""
    try:
        parse_reference(text)
    except InputError:
        return False
    return True


def _split_digest(text: str) -> tuple[str, str]:
    name, at, digest = text.partition("@")
    if not at:
        return name, ""
    if not is_digest(digest):
        raise _invalid(text, f"{digest!r} is not a digest", "a digest is sha256: and 64 lower-case hex digits")
    return name, digest


def _split_tag(name: str, text: str) -> tuple[str, str]:
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # a colon before the last slash is a port's
        return name, ""
    if not _TAG.fullmatch(tag):
        hint = "a tag has at most 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two"
        raise _invalid(text, f"{tag!r} is not a tag" if tag else "the tag is empty", hint)
    return head, tag


def _split_domain(name: str) -> tuple[str, str]:
    """Docker's rule: the first component is a host when it has a `.` or a `:`, is localhost or has capitals."""
    first, slash, rest = name.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_DOMAIN, name
    if first == "index.docker.io":
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and rest and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest


def _check_name(domain: str, path: str, text: str) -> None:
    if not path:
        raise _invalid(text, "the name is empty", "write NAME[:TAG][@DIGEST]")
    if "://" in text:
        raise _invalid(text, "it is a URL", "leave the scheme out: HOST/NAME[:TAG]")
    if path != path.lower():
        hint = f"try {text.lower()}" if is_reference(text.lower()) else "a name is in lower case"
        raise _invalid(text, f"repository name ({path}) must be lowercase", hint)
    if domain != DEFAULT_DOMAIN and not re.fullmatch(_DOMAIN, domain, re.ASCII):
        raise _invalid(text, f"{domain!r} is not a registry's host", "write HOST[:PORT]/NAME[:TAG]")
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            hint = "a name is lower-case letters and digits, with single `.`, `_`, `__` or dashes between them"
            what = f"{component!r} is not part of a name" if component else "a part of the name is empty"
            raise _invalid(text, what, hint)
    if is_digest(f"sha256:{path.removeprefix('library/')}"):
        hint = "for a digest write NAME@sha256:HEX"
        raise _invalid(text, "a name of 64 hex digits would be taken for an image id", hint)
    if len(domain) + 1 + len(path) > MAX_NAME_LENGTH:
        raise _invalid(text, f"the name is longer than {MAX_NAME_LENGTH} characters", None)


def _invalid(text: str, what: str, hint: str | None) -> InputError:
    return InputError(f"invalid reference format: {text!r}: {what}", hint=hint)
