"""A checkout by the git program, for ADD and for contexts. Reference §1.7.

Git runs apart from this machine's configuration: no system or user file of it, no hook, no template, no prompt, only
the protocols of a short list. A login is given in the environment, for the one server that it is meant for: never on a
command line, never in the repository.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from jettison.base.errors import HostError, InputError, NetworkError
from jettison.registry.config import authority
from jettison.registry.exchange import redacted
from jettison.registry.gitrun import GitFailed, Runner
from jettison.registry.shown import shown
from jettison.registry.source import Cancel

PROTOCOLS = "http:https:ssh:git"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_REF = re.compile(r"[^\s~^:?*\[\\\x00-\x1f\x7f]+")
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9.-]+:.+", re.DOTALL)


class GitAuth(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in to a repository's server: an Authorization header over HTTP, an agent's socket over ssh."""

    authorization: str = ""
    ssh_auth_sock: str = ""

    def __repr__(self) -> str:
        return "GitAuth(...)"


def git_secret_ids(remote: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the secrets that may hold a login: the headers', then the tokens', the host's own first."""
    host = authority(remote) if "://" in remote else remote.partition("@")[2].partition(":")[0]
    return (f"GIT_AUTH_HEADER.{host}", "GIT_AUTH_HEADER"), (f"GIT_AUTH_TOKEN.{host}", "GIT_AUTH_TOKEN")


def git_authorization(header: bytes | None, token: bytes | None) -> str:
    """The Authorization header of those secrets' values, "" for none. Raises InputError."""
    text = (header if header is not None else token or b"").decode("latin-1").strip()
    if not text.isprintable():
        raise InputError("a secret for GIT_AUTH_TOKEN or GIT_AUTH_HEADER holds more than one line of text")
    if header is not None or not text:
        return text
    return "basic " + b64encode(b"x-access-token:" + text.encode("latin-1")).decode()


def git_identity(
    remote: str,
    ref: str | None = None,
    *,
    checksum: str | None = None,
    auth: GitAuth | None = None,
    environ: Mapping[str, str] | None = None,
    cancel: Cancel | None = None,
) -> str:
    """The commit that `ref` names now (None: the default branch). A full commit id is its own answer, unasked.

    Of a branch and a tag of one name the branch is meant. `checksum` is a prefix that the commit must have. Raises
    NetworkError, InputError, HostError and Cancelled.
    """
    _check(remote, ref, checksum)
    if ref is not None and _COMMIT.fullmatch(ref):
        return _agreed(remote, ref, checksum)
    with _runner(remote, auth, environ, cancel) as git:
        return _agreed(remote, _listed(git, remote, ref)[0], checksum)


def git_checkout(
    remote: str,
    ref: str | None,
    dest_dir: str,
    *,
    commit: str | None = None,
    subdir: str = "",
    keep_git_dir: bool = False,
    submodules: bool = True,
    mtime: str = "checkout",
    checksum: str | None = None,
    auth: GitAuth | None = None,
    environ: Mapping[str, str] | None = None,
    cancel: Cancel | None = None,
) -> str:
    """Check out a repository (or what is in its `subdir`) into the empty directory `dest_dir`; the commit.

    `commit` pins what `git_identity` gave earlier, whatever `ref` means by now. Files have modes 0644 and 0755; with
    `mtime` commit every time is the commit's. `.git` stays with `keep_git_dir`, but for a subdir. What is fetched lies
    beside `dest_dir` meanwhile. Raises as `git_identity`.
    """
    _check(remote, ref, checksum)
    with _runner(remote, auth, environ, cancel, beside=dest_dir) as git:
        tree = git.new_repository(redacted_remote(remote))
        found = _fetch(git, remote, ref, commit)
        _agreed(remote, found, checksum)
        git.run("checkout", "--quiet", "--detach", found, "--")
        if submodules and os.path.lexists(os.path.join(tree, ".gitmodules")):
            _submodules(git)
        seconds = int(git.run("show", "--no-patch", "--format=%ct", found).strip() or 0)
        _place(git, tree, dest_dir, subdir, keep=keep_git_dir)
    if mtime == "commit":
        _set_times(dest_dir, seconds)
    return found


def redacted_remote(remote: str) -> str:
    """A remote without its password: what may stay in a repository that is kept."""
    scheme, separator, rest = remote.partition("://")
    user, at, host = rest.partition("/")[0].rpartition("@")
    if not separator or not at or ":" not in user:
        return remote
    return f"{scheme}://{user.partition(':')[0]}@{host}{rest.removeprefix(f'{user}@{host}')}"


def _check(remote: str, ref: str | None, checksum: str | None) -> None:
    """A remote or ref that begins with a dash would be an option of git's."""
    scheme = remote.partition("://")[0] if "://" in remote else "ssh" if _SCP.fullmatch(remote) else ""
    if scheme.lower() not in PROTOCOLS.split(":") or not remote.isprintable():
        hint = f"a repository is fetched by one of {PROTOCOLS.replace(':', ', ')}"
        raise InputError(f"{redacted(remote)!r} is not the address of a git repository", hint=hint)
    if ref is not None and (not _REF.fullmatch(ref) or ref.startswith("-") or ".." in ref):
        raise InputError(f"{redacted(remote)}: {ref!r} is not the name of a branch, tag or commit")
    if checksum is not None and not _PREFIX.fullmatch(checksum):
        raise InputError(f"{redacted(remote)}: {checksum!r} is not a commit, or the beginning of one")


def _agreed(remote: str, commit: str, checksum: str | None) -> str:
    if checksum is not None and not commit.startswith(checksum):
        hint = "the ref has moved: check what it is now, then write its new commit"
        raise InputError(f"{redacted(remote)}: expected checksum to match {checksum}, got {commit}", hint=hint)
    return commit


@contextmanager
def _runner(
    remote: str,
    auth: GitAuth | None,
    environ: Mapping[str, str] | None,
    cancel: Cancel | None,
    beside: str | None = None,
) -> Iterator[Runner]:
    import shutil
    import tempfile

    auth = auth or GitAuth()
    parent = os.path.dirname(os.path.abspath(beside)) if beside else None
    folder = tempfile.mkdtemp(prefix=".git-", dir=parent)
    try:
        variables = _variables(remote, auth, os.environ if environ is None else environ, folder)
        yield Runner(folder, variables, cancel)
    except GitFailed as failed:
        raise _error(remote, failed, authorized=bool(auth.authorization or auth.ssh_auth_sock)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "TMPDIR", "SYSTEMROOT")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def _variables(remote: str, auth: GitAuth, environ: Mapping[str, str], home: str) -> dict[str, str]:
    """The whole environment of git."""
    names = (*_KEPT, *_PROXIES, *(name.upper() for name in _PROXIES))
    kept = {name: environ[name] for name in names if name in environ}
    if "SSL_CERT_FILE" in kept:
        kept.setdefault("GIT_SSL_CAINFO", kept["SSL_CERT_FILE"])  # not every build of git's HTTP part reads the first
    fixed = {
        "HOME": home,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "LC_ALL": "C",
    }
    agent = {"SSH_AUTH_SOCK": auth.ssh_auth_sock} if auth.ssh_auth_sock else {}
    return kept | fixed | agent | _login(remote, auth.authorization)


def _login(remote: str, authorization: str) -> dict[str, str]:
    """As configuration in variables (git 2.31), which no other user can read, and for one server alone."""
    if not authorization or not remote.startswith(("http://", "https://")):
        return {}
    server = f"{remote.partition('://')[0]}://{authority(remote)}/"
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server}.extraheader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {authorization}",
    }


def _listed(git: Runner, remote: str, ref: str | None) -> tuple[str, str]:
    """The commit of a ref, and the ref's full name."""
    wanted = ["HEAD"] if ref is None else [ref, f"{ref}^{{}}"]
    lines = git.run("ls-remote", "--", remote, *wanted).splitlines()
    found = {name: commit for commit, _, name in (line.partition("\t") for line in lines) if _COMMIT.fullmatch(commit)}
    names = ["HEAD"] if ref is None else [ref, f"refs/{ref}", f"refs/heads/{ref}", f"refs/tags/{ref}"]
    for name in names:
        if name in found:
            return found.get(f"{name}^{{}}", found[name]), name  # of an annotated tag, what it tags
    what = f"it has no branch or tag {ref}" if ref else "it is empty"
    raise InputError(f"{redacted(remote)}: repository does not contain ref {ref or 'HEAD'}: {what}")


def _fetch(git: Runner, remote: str, ref: str | None, commit: str | None) -> str:
    """Fetch as little as the server allows; the commit that is there now."""
    pinned = commit or (ref if ref is not None and _COMMIT.fullmatch(ref) else None)
    if pinned is not None:
        try:
            _fetch_one(git, remote, pinned)
        except GitFailed:  # most servers give only what a name stands for
            pass
        else:
            return pinned
    else:
        return _fetch_ref(git, remote, ref)
    if pinned != ref and _fetch_ref(git, remote, ref) == pinned:
        return pinned
    everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    git.run("fetch", "--quiet", "--unshallow" if git.is_shallow() else "--no-tags", "--", remote, *everything)
    if not git.succeeds("cat-file", "-e", f"{pinned}^{{commit}}"):
        raise InputError(f"{redacted(remote)}: repository does not contain ref {pinned}")
    return pinned


def _fetch_ref(git: Runner, remote: str, ref: str | None) -> str:
    _, name = _listed(git, remote, ref)
    local = f"{name}:{name}" if name.startswith("refs/tags/") else name
    _fetch_one(git, remote, local)
    return git.run("rev-parse", "FETCH_HEAD^{commit}").strip()


def _fetch_one(git: Runner, remote: str, what: str) -> None:
    """Fetch one ref or commit without its history, or with it from a server of plain files, which cannot cut it off."""
    fetch = ("fetch", "--quiet", "--no-tags")
    try:
        git.run(*fetch, "--depth=1", "--", remote, what)
    except GitFailed as failed:
        if "shallow" not in failed.words:
            raise
        git.run(*fetch, "--", remote, what)


def _submodules(git: Runner) -> None:
    update = ("submodule", "update", "--quiet", "--init", "--recursive")
    if not git.succeeds(*update, "--depth=1"):  # a server may give only what its branches name
        git.run(*update)


def _place(git: Runner, tree: str, dest_dir: str, subdir: str, *, keep: bool) -> None:
    """Move what was asked for to its place, which is of the same file system."""
    inside = subdir.strip("/")
    git.tidy(keep=keep and not inside)
    source = os.path.realpath(os.path.join(tree, inside)) if inside else tree
    if os.path.commonpath((os.path.realpath(tree), source)) != os.path.realpath(tree) or not os.path.isdir(source):
        raise InputError(f"the repository has no directory {subdir}")
    for name in os.listdir(source):
        os.rename(os.path.join(source, name), os.path.join(dest_dir, name))


def _set_times(directory: str, seconds: int) -> None:
    for folder, folders, files in os.walk(directory, topdown=False):
        for name in (*folders, *files):
            os.utime(os.path.join(folder, name), (seconds, seconds), follow_symlinks=False)
    os.utime(directory, (seconds, seconds))


def _error(remote: str, failed: GitFailed, *, authorized: bool) -> NetworkError | HostError:
    said = shown(redact_text(failed.words))
    lowered = said.lower()
    hint = "check the address and the network (HTTPS_PROXY, NO_PROXY)"
    if any(words in lowered for words in ("could not read username", "authentication failed", "permission denied")):
        login = "the login was refused" if authorized else "give a login: --secret id=GIT_AUTH_TOKEN,src=FILE, or --ssh"
        hint = f"the repository does not exist or is private: {login}"
    elif "host key" in lowered:
        hint = "add the server's key to ~/.ssh/known_hosts: ssh-keyscan HOST >> ~/.ssh/known_hosts"
    elif "not allowed" in lowered:
        hint = f"submodules are fetched by {PROTOCOLS.replace(':', ', ')} alone"
    return NetworkError(f"{redacted(remote)}: git: {said or 'it failed'}", hint=hint)


def redact_text(text: str) -> str:
    """Text without the users and passwords of the URLs in it."""
    return re.sub(r"(\w+://)[^/\s@]*@", r"\1", text)
