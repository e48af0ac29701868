"""Runs git in one temporary folder: with a given environment, killed when the caller wants to stop."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from jettison.base.errors import Cancelled, HostError
from jettison.registry.source import Cancel

if TYPE_CHECKING:
    import subprocess

POLL_S = 0.1
UMASK = 0o022  # so that files are 0644 and 0755 whatever the caller's is
MAX_OUTPUT = 64 << 20
_SETTINGS = (
    "core.hooksPath=" + os.devnull,
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "init.defaultBranch=master",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
)


class GitFailed(Exception):  # noqa: N818 - it never leaves these two files
    """Git ended with an error; `words` is the end of what it said."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class Runner:
    """Git in the folder `folder`, where nothing else is."""

    def __init__(self, folder: str, variables: dict[str, str], cancel: Cancel | None) -> None:
        self._folder = folder
        self._variables = variables
        self._cancel = cancel
        self._tree = folder

    def new_repository(self, origin: str) -> str:
        """Make an empty repository without templates, where all later commands run; its directory."""
        tree = os.path.join(self._folder, "tree")
        self.run("init", "--quiet", "--template=", "--", tree)
        self._tree = tree
        self.run("remote", "add", "--", "origin", origin)  # relative submodules are looked up beside it
        return tree

    def is_shallow(self) -> bool:
        """Whether history was cut off."""
        return os.path.exists(os.path.join(self._tree, ".git", "shallow"))

    def tidy(self, *, keep: bool) -> None:
        """Remove what tells when and how the repository was fetched; without `keep` all that is git's."""
        import shutil

        if not keep:
            self._remove_git()
            return
        for name in ("FETCH_HEAD", "ORIG_HEAD"):
            if os.path.lexists(path := os.path.join(self._tree, ".git", name)):
                os.unlink(path)
        shutil.rmtree(os.path.join(self._tree, ".git", "logs"), ignore_errors=True)

    def _remove_git(self) -> None:
        """Git tracks nothing of that name: below the top it is a submodule's pointer into what goes away."""
        import shutil

        for folder, folders, files in os.walk(self._tree):
            if ".git" in files:
                os.unlink(os.path.join(folder, ".git"))
            if ".git" in folders:
                folders.remove(".git")
                shutil.rmtree(os.path.join(folder, ".git"))

    def succeeds(self, *words: str) -> bool:
        """Whether a command ends well."""
        try:
            self.run(*words)
        except GitFailed:
            return False
        return True

    def run(self, *words: str) -> str:
        """Run a command to its end; what it printed. Raises GitFailed, HostError and Cancelled."""
        import subprocess

        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        try:
            process = subprocess.Popen(
                ["git", *settings, *words],
                cwd=self._tree,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                umask=UMASK,
            )
        except FileNotFoundError:
            hint = "install git: repositories are fetched by it"
            raise HostError("git is not installed", hint=hint) from None
        output, errors = self._watched(process)
        if process.returncode:
            raise GitFailed(_last_words(errors.decode("utf-8", "replace")))
        return output[:MAX_OUTPUT].decode("utf-8", "surrogateescape")

    def _check(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("stopped while git was running")

    def _watched(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        import subprocess

        try:
            while True:
                self._check()
                try:
                    return process.communicate(timeout=POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            _kill(process)
            raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End git and what it started: it leads a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.communicate()


def _last_words(text: str) -> str:
    """The lines that say what went wrong, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ERROR", "Host key"))]
    chosen = (telling or lines)[-3:]
    return "; ".join(line.removeprefix("fatal: ").removeprefix("error: ") for line in chosen)
