"""Sources that are fetched: which text is a git repository, and its fragment or query. Reference §1.7."""

from __future__ import annotations

import re

import msgspec

from jettison.base.errors import InputError
from jettison.planning.ops import GitOp
from jettison.syntax.regex import lazy

UNNAMED = "__unnamed__"

_SCHEME = lazy(r"([a-zA-Z0-9]+)://")
_SCP = lazy(r"([a-zA-Z0-9_][a-zA-Z0-9_.-]*)@([a-zA-Z0-9.-]+):([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_BARE = frozenset({"submodules", "keep-git-dir", "fetch-by-commit"})  # a query key that needs no value
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


class GitSource(msgspec.Struct, frozen=True, kw_only=True):
    """A git URL taken apart. `keep_git_dir` and `submodules` are None where it does not say."""

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    mtime: str = "checkout"

    def op(self) -> GitOp:
        """What reads it."""
        return GitOp(
            remote=self.remote,
            ref=self.ref or None,
            subdir=self.subdir,
            keep_git_dir=bool(self.keep_git_dir),
            submodules=self.submodules is not False,
            checksum=self.checksum or None,
            mtime=self.mtime,
        )


def go_bool(text: str) -> bool | None:
    """A truth value as Go reads it, None for anything else."""
    return True if text in _TRUE else False if text in _FALSE else None


def is_http(text: str) -> bool:
    """Whether a source is one file from an HTTP(S) server."""
    return text.startswith(("http://", "https://")) and not _is_git(text)


def is_remote(text: str) -> bool:
    """Whether a source is fetched: HTTP(S) or git."""
    return is_http(text) or _is_git(text)


def _is_git(text: str) -> bool:
    if "://" not in text and "@" not in text:
        return False  # nearly all: for them no expression need be compiled
    scheme = _SCHEME.match(text)
    if scheme is None:
        return not text.startswith(("./", "../", "/")) and _SCP.fullmatch(text) is not None
    if scheme[1].lower() in {"git", "ssh"}:
        return True
    # Over HTTP only what is named *.git is a repository: anything else is a file.
    return scheme[1].lower() in {"http", "https"} and _split(text)[2].endswith(".git")


def _split(text: str) -> tuple[str, str, str, str, str]:
    from urllib.parse import urlsplit

    try:
        return urlsplit(text)
    except ValueError:  # an address in brackets that is none
        return ("", "", "", "", "")


def git_source(text: str) -> GitSource | None:
    """The repository that `text` names, None when it names none. Raises InputError for a query that makes no sense."""
    if not _is_git(text):
        return None
    remote, query, fragment = _parts(text)
    ref, subdir, checksum = _fragment(fragment)
    return _with_query(GitSource(remote=remote, ref=ref, subdir=subdir, checksum=checksum), query)


def _parts(text: str) -> tuple[str, str, str]:
    """Remote, query and fragment."""
    from urllib.parse import unquote, urlunsplit

    if _SCHEME.match(text):
        url, _, fragment = text.partition("#")
        scheme, host, path, query, _ = _split(url)
        return urlunsplit((scheme, host, path, "", "")), query, unquote(fragment)
    head, _, fragment = text.partition("#")
    remote, _, query = head.partition("?")
    return remote, query, fragment


def _fragment(fragment: str) -> tuple[str, str, str]:
    """`#ref:subdir`, or `##ref=R,commit=C,subdir=D`."""
    if not fragment.startswith("#"):
        ref, _, subdir = fragment.partition(":")
        return ref, subdir, ""
    found = {"ref": "", "subdir": "", "commit": ""}
    for field in filter(None, fragment[1:].split(",")):
        key, equals, value = field.partition("=")
        if not equals or key.lower() not in found:
            raise InputError(f"unexpected key '{key}' in '{field}' (supported keys: ref, commit, subdir)")
        found[key.lower()] = value
    return found["ref"] or found["commit"], found["subdir"], found["commit"]


def _with_query(source: GitSource, query: str) -> GitSource:
    from urllib.parse import parse_qs

    values = {key: _only(key, given) for key, given in parse_qs(query, keep_blank_values=True).items()}
    changes: dict[str, object] = {}
    refs = [source.ref]
    for key, value in values.items():
        match key:
            case "ref":
                refs.append(value)
            case "tag":
                refs.append(_prefixed(value, "refs/tags/"))
            case "branch":
                refs.append(_prefixed(value, "refs/heads/"))
            case "subdir":
                changes["subdir"] = _agreed("subdir", [source.subdir, value])
            case "checksum" | "commit":
                changes["checksum"] = value
            case "keep-git-dir":
                changes["keep_git_dir"] = _truth(key, value)
            case "submodules":
                changes["submodules"] = _truth(key, value)
            case "mtime":
                changes["mtime"] = _mtime(value)
            case "fetch-by-commit":
                _truth(key, value)  # how it is fetched, not what: the checkout is the same
            case _:
                raise InputError(f'unexpected query "{key}"')
    if "tag" in values and "branch" in values:
        raise InputError("branch conflicts with tag")
    checksum = str(changes.get("checksum", source.checksum))
    return msgspec.structs.replace(source, ref=_agreed("ref", refs) or checksum, **changes)


def _only(key: str, given: list[str]) -> str:
    if len(given) > 1:
        raise InputError(f'query "{key}" has multiple values')
    if not given[0] and key not in _BARE:
        raise InputError(f'query "{key}" has no value')
    return given[0]


def _agreed(what: str, values: list[str]) -> str:
    found = [value for value in values if value]
    for other in found[1:]:
        if other != found[0]:
            raise InputError(f'{what} conflicts: "{found[0]}" vs "{other}"')
    return found[0] if found else ""


def _prefixed(text: str, prefix: str) -> str:
    return text if text.startswith(prefix) else prefix + text


def _truth(key: str, value: str) -> bool:
    found = True if not value else go_bool(value)
    if found is None:
        raise InputError(f'invalid {key} value: "{value}"')
    return found


def _mtime(value: str) -> str:
    if value not in {"checkout", "commit"}:
        raise InputError(f'invalid mtime value: "{value}"', hint="mtime is checkout or commit")
    return value


def url_filename(url: str) -> str:
    """The name of a downloaded file: the last component of the URL's path; UNNAMED where there is none that can be a
    file's name.
    """
    from urllib.parse import unquote

    name = unquote(_split(url)[2]).rstrip("/").rpartition("/")[2]
    return UNNAMED if name in {"", ".", ".."} or "\0" in name else name
