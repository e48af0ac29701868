"""Checkouts by git, from git's own HTTP server: refs, pins, subdirs, submodules, logins, and hostile repositories."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from collections.abc import Callable

import pytest

from fakes.servers import Answer, Said, Server, free_port, started
from jettison.base.errors import Cancelled, InputError, NetworkError
from jettison.registry.git import (
    GitAuth,
    git_authorization,
    git_checkout,
    git_identity,
    git_secret_ids,
    redact_text,
    redacted_remote,
)

TIME = 1_600_000_000
IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": f"{TIME} +0000", "GIT_COMMITTER_DATE": f"{TIME} +0000",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


class Repository:
    """A repository that tests write to, and that a server gives out."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.git("init", "--quiet", "--initial-branch=main", directory, cwd=None)

    def git(self, *words: str, cwd: str | None = "") -> str:
        settings = ("-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *settings, *words],
            cwd=self.directory if cwd == "" else cwd,
            env={**os.environ, **IDENTITY},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = os.path.join(self.directory, name.replace("__", "/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")


def backend(root: str) -> Callable[[Said], Answer]:
    """git http-backend as a server's answers."""

    def answer(said: Said) -> Answer:
        path, _, query = said.path.partition("?")
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REQUEST_METHOD": said.method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": said.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(said.body)),
            "HTTP_CONTENT_ENCODING": said.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": said.headers.get("git-protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=variables, input=said.body, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        return Answer(int(headers.pop("Status", "200").split()[0]), headers, body)

    return answer


class Hosted:
    """A folder of repositories behind one server."""

    def __init__(self, root: str, server: Server) -> None:
        self.root = root
        self.server = server

    def new(self, name: str) -> Repository:
        return Repository(os.path.join(self.root, name))

    def url(self, name: str) -> str:
        return f"{self.server.url}/{name}/.git"


@pytest.fixture
def hosted(tmp_path):
    root = str(tmp_path / "repositories")
    os.mkdir(root)
    with Server(backend(root)) as server:
        yield Hosted(root, server)


@pytest.fixture
def out(tmp_path) -> str:
    (tmp_path / "work" / "out").mkdir(parents=True)
    return str(tmp_path / "work" / "out")


def names(directory: str) -> list[str]:
    return sorted(os.listdir(directory))


def read(directory: str, name: str) -> str:
    with open(os.path.join(directory, name)) as file:
        return file.read()


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_refs_are_found(hosted: Hosted) -> None:
    repository = hosted.new("r")
    first = repository.commit(a="1")
    repository.git("tag", "light")
    repository.git("tag", "-a", "-m", "x", "heavy")
    repository.git("branch", "both")
    second = repository.commit(a="2")
    repository.git("tag", "both")
    url = hosted.url("r")
    assert git_identity(url) == second
    assert git_identity(url, "main") == second
    assert git_identity(url, "refs/heads/main") == second
    assert git_identity(url, "light") == first
    assert git_identity(url, "heavy") == first
    assert git_identity(url, "heads/both") == first
    assert git_identity(url, "both") == first
    assert git_identity(url, "tags/both") == second
    assert git_identity(url, "main", checksum=second[:7]) == second
    with pytest.raises(InputError, match="repository does not contain ref none"):
        git_identity(url, "none")
    with pytest.raises(InputError, match=f"expected checksum to match {first[:9]}, got {second}"):
        git_identity(url, "main", checksum=first[:9])


def test_a_commit_is_its_own_answer() -> None:
    assert git_identity("https://nowhere.invalid/r.git", "a" * 40) == "a" * 40


def test_a_checkout(hosted: Hosted, out: str) -> None:
    repository = hosted.new("r")
    path = os.path.join(repository.directory, "run.sh")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(path, 0o755)
    os.symlink("run.sh", os.path.join(repository.directory, "link"))
    commit = repository.commit(a="1", d__b="2")
    before = os.umask(0o077)
    try:
        assert git_checkout(hosted.url("r"), None, out, mtime="commit") == commit
    finally:
        os.umask(before)
    assert names(out) == ["a", "d", "link", "run.sh"]
    modes = [stat.S_IMODE(os.lstat(os.path.join(out, name)).st_mode) for name in ("a", "d", "run.sh")]
    assert modes == [0o644, 0o755, 0o755]
    assert {os.lstat(os.path.join(out, name)).st_mtime for name in ("a", "d", "d/b", "link", "")} == {TIME}
    assert names(os.path.dirname(out)) == ["out"]


def test_what_a_ref_meant_earlier(hosted: Hosted, out: str) -> None:
    repository = hosted.new("r")
    first = repository.commit(a="1")
    repository.commit(a="2")
    assert git_checkout(hosted.url("r"), "main", out, commit=first) == first
    assert read(out, "a") == "1"


def test_a_commit_by_its_id(hosted: Hosted, out: str) -> None:
    repository = hosted.new("r")
    first = repository.commit(a="1")
    repository.commit(a="2")
    assert git_checkout(hosted.url("r"), first, out, checksum=first[:12]) == first
    assert read(out, "a") == "1"
    with pytest.raises((NetworkError, InputError)):
        git_checkout(hosted.url("r"), "b" * 40, out)


def test_a_server_that_gives_only_what_its_refs_name(tmp_path, out: str) -> None:
    """Protocol 0 refuses other commits: everything is fetched then."""
    repository = Repository(str(tmp_path / "r"))
    first = repository.commit(a="1")
    repository.commit(a="2")
    repository.git("config", "protocol.version", "0")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    port = free_port()
    daemon = ["git", "-c", "safe.directory=*", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    with started([*daemon, f"--base-path={tmp_path}"], port, env={**os.environ, "HOME": str(tmp_path)}):
        assert git_checkout(f"git://127.0.0.1:{port}/r", first, out) == first
    assert read(out, "a") == "1"


def test_a_subdir(hosted: Hosted, out: str) -> None:
    repository = hosted.new("r")
    repository.commit(a="1", d__b="2", d__e__c="3")
    git_checkout(hosted.url("r"), None, out, subdir="/d/", keep_git_dir=True)
    assert names(out) == ["b", "e"]


@pytest.mark.parametrize("subdir", ["none", "a", "../..", "out", ".git"])
def test_a_subdir_stays_inside(hosted: Hosted, out: str, subdir: str) -> None:
    repository = hosted.new("r")
    os.symlink("/etc", os.path.join(repository.directory, "out"))
    repository.commit(a="1")
    with pytest.raises(InputError, match="has no directory"):
        git_checkout(hosted.url("r"), None, out, subdir=subdir)
    assert names(out) == []


def test_the_repository_may_stay(hosted: Hosted, out: str) -> None:
    repository = hosted.new("r")
    commit = repository.commit(a="1")
    repository.git("tag", "v1")
    login = GitAuth(authorization="basic c2VjcmV0")
    git_checkout(hosted.url("r"), "v1", out, keep_git_dir=True, auth=login)
    assert names(out) == [".git", "a"]
    look = Repository.__new__(Repository)
    look.directory = out
    assert look.git("rev-parse", "HEAD") == commit
    assert look.git("status", "--porcelain") == ""
    assert look.git("describe", "--tags") == "v1"
    assert look.git("remote", "get-url", "origin") == hosted.url("r")
    kept = [os.path.join(folder, name) for folder, _, files in os.walk(out) for name in files]
    assert not [path for path in kept if b"c2VjcmV0" in read_bytes(path)]
    assert not os.path.exists(os.path.join(out, ".git", "hooks"))
    assert not os.path.exists(os.path.join(out, ".git", "logs"))


def test_submodules(hosted: Hosted, out: str) -> None:
    hosted.new("inner").commit(deep="1")
    repository = hosted.new("r")
    repository.commit(a="1")
    repository.git("submodule", "--quiet", "add", hosted.url("inner"), "sub")
    repository.git("commit", "--quiet", "--message", "sub")
    git_checkout(hosted.url("r"), None, out)
    assert names(out) == [".gitmodules", "a", "sub"]
    assert names(os.path.join(out, "sub")) == ["deep"]
    plain = os.path.join(os.path.dirname(out), "plain")
    os.mkdir(plain)
    git_checkout(hosted.url("r"), None, plain, submodules=False)
    assert names(os.path.join(plain, "sub")) == []


def test_a_submodule_of_this_machine_is_refused(hosted: Hosted, out: str, tmp_path) -> None:
    inner = Repository(str(tmp_path / "private"))
    inner.commit(secret="1")
    repository = hosted.new("r")
    repository.git("submodule", "--quiet", "add", inner.directory, "sub")
    repository.git("commit", "--quiet", "--message", "sub")
    with pytest.raises(NetworkError, match="not allowed"):
        git_checkout(hosted.url("r"), None, out)
    assert names(out) == []


def private(root: str, wanted: str) -> Callable[[Said], Answer]:
    inner = backend(root)

    def answer(said: Said) -> Answer:
        if said.headers.get("authorization") != wanted:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
        return inner(said)

    return answer


def test_logins(tmp_path, out: str) -> None:
    Repository(str(tmp_path / "r")).commit(a="1")
    authorization = git_authorization(None, b"tok3n\n")
    with Server(private(str(tmp_path), authorization)) as server:
        url = f"{server.url}/r/.git"
        with pytest.raises(NetworkError, match="git: ") as caught:
            git_identity(url)
        assert "GIT_AUTH_TOKEN" in caught.value.hint
        with pytest.raises(NetworkError) as caught:
            git_identity(url, auth=GitAuth(authorization="basic wr0ng"))
        assert "the login was refused" in caught.value.hint
        assert "wr0ng" not in str(caught.value)
        git_checkout(url, "main", out, auth=GitAuth(authorization=authorization))
    assert names(out) == ["a"]


def test_a_login_is_not_on_the_command_line(tmp_path, hosted: Hosted, out: str) -> None:
    """A program called git that writes down how it was called, and then is git."""
    hosted.new("r").commit(a="1")
    log = tmp_path / "log"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\nPATH="$REST" exec git "$@"\n'.replace("$REST", os.environ["PATH"])
    )
    program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    git_checkout(hosted.url("r"), None, out, auth=GitAuth(authorization="Bearer s3cret"), environ=environ)
    assert "fetch" in log.read_text()
    assert "s3cret" not in log.read_text()
    assert hosted.server.said[0].headers["authorization"] == "Bearer s3cret"


def test_this_machines_configuration_is_not_read(tmp_path, hosted: Hosted, out: str, monkeypatch) -> None:
    hosted.new("r").commit(a="1")
    trap = tmp_path / "ran"
    home = tmp_path / "home"
    (home / "hooks").mkdir(parents=True)
    (home / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {trap}\n")
    (home / "hooks" / "post-checkout").chmod(0o755)
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {home}/hooks\n[url "http://nowhere.invalid/"]\ninsteadOf = {hosted.server.url}/\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    git_checkout(hosted.url("r"), None, out)
    assert names(out) == ["a"]
    assert not trap.exists()


@pytest.mark.parametrize(
    "remote",
    ["file:///etc", "/etc", "--upload-pack=touch x", "ext::sh -c id", "https://h/x\ny", "git@-oProxyCommand=x", ""],
)
def test_what_is_no_address(remote: str) -> None:
    with pytest.raises(InputError, match="not the address of a git repository"):
        git_identity(remote)


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-x", "a b", "a:b", "a..b", "a*", "a\n", ""])
def test_what_is_no_ref(ref: str) -> None:
    with pytest.raises(InputError, match="not the name of a branch"):
        git_identity("https://nowhere.invalid/r.git", ref)


def test_what_is_no_checksum() -> None:
    with pytest.raises(InputError, match="not a commit"):
        git_identity("https://nowhere.invalid/r.git", checksum="xyz")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(NetworkError, match="git: ") as caught:
        git_identity(f"http://ada:secret@127.0.0.1:{free_port()}/r.git")
    assert "secret" not in str(caught.value)


def test_git_is_ended_when_asked(tmp_path, out: str) -> None:
    asked = threading.Event()
    held = threading.Event()

    def answer(_: Said) -> Answer:
        asked.set()
        held.wait(10)
        return Answer(500)

    with Server(answer) as server:
        with pytest.raises(Cancelled):
            git_checkout(f"{server.url}/r.git", None, out, cancel=asked)
        held.set()
    assert names(out) == []
    assert names(os.path.dirname(out)) == ["out"]


def test_secrets_for_a_host() -> None:
    assert git_secret_ids("https://u@h:8/r.git") == (
        ("GIT_AUTH_HEADER.h:8", "GIT_AUTH_HEADER"),
        ("GIT_AUTH_TOKEN.h:8", "GIT_AUTH_TOKEN"),
    )
    assert git_secret_ids("git@h:r.git")[1][0] == "GIT_AUTH_TOKEN.h"
    assert git_authorization(b"Bearer x", b"y") == "Bearer x"
    assert git_authorization(None, b"y") == "basic eC1hY2Nlc3MtdG9rZW46eQ=="
    assert git_authorization(None, None) == ""
    with pytest.raises(InputError, match="more than one line"):
        git_authorization(None, b"a\nb")


def test_what_is_shown_of_a_remote() -> None:
    assert redacted_remote("https://u:p@h/r.git") == "https://u@h/r.git"
    assert redacted_remote("ssh://git@h/r.git") == "ssh://git@h/r.git"
    assert redacted_remote("git@h:r.git") == "git@h:r.git"
    assert redact_text("unable to access 'https://u:p@h/r/': no") == "unable to access 'https://h/r/': no"
