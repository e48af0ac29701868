"""What builds fetch, served on 127.0.0.1: files with what is said of them, and repositories as plain files, as any web
server gives them (git's dumb protocol).
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from typing import NamedTuple, Self

from fakes.servers import Answer, Said, Server

TIME = 1_600_000_000
_IDENTITY = {
    **{f"GIT_{who}_{what}": f"{what}@here" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": f"{TIME} +0000" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Page(NamedTuple):
    """A file: its bytes, what headers say of it, and the Authorization that it wants."""

    body: bytes
    headers: Mapping[str, str] = {}
    wants: str = ""


class Site:
    """Pages by path, and below them the files of a folder. A context manager; `asked` are the requests for pages."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.pages: dict[str, Page] = {}
        self.private: dict[str, str] = {}  # of the folder: the Authorization that paths with that beginning want
        self.asked: list[str] = []
        self.server = Server(self._answer)
        os.makedirs(folder, exist_ok=True)

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def url(self, path: str) -> str:
        """The address of a page or repository."""
        return f"{self.server.url}/{path}"

    def _answer(self, said: Said) -> Answer:
        path = said.path.lstrip("/").partition("?")[0]
        page = self.pages.get(path)
        if page is None:
            return self._file(path, said.headers.get("authorization"))
        answer = self._page(page, said)
        self.asked.append(f"{said.method} {path} {answer.status}")
        return answer

    def _page(self, page: Page, said: Said) -> Answer:
        if page.wants and said.headers.get("authorization") != page.wants:
            return Answer(401, {"WWW-Authenticate": "Basic"})
        if "Location" in page.headers:
            return Answer(302, page.headers)
        etag = page.headers.get("ETag")
        if etag and said.headers.get("if-none-match") == etag:
            return Answer(304, page.headers)
        return Answer(200, page.headers, b"" if said.method == "HEAD" else page.body, len(page.body))

    def _file(self, path: str, authorization: str | None) -> Answer:
        for beginning, wanted in self.private.items():
            if path.startswith(beginning) and authorization != wanted:
                return Answer(401, {"WWW-Authenticate": 'Basic realm="here"'})
        full = os.path.join(self.folder, path)
        if not os.path.isfile(full):
            return Answer(404)
        with open(full, "rb") as file:
            return Answer(body=file.read())

    def repository(self, name: str) -> Repository:
        """A new repository, which is served as NAME.git."""
        return Repository(os.path.join(self.folder, f"{name}.git"))


class Repository:
    """A repository with a working directory, which git's dumb protocol can read after each commit."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.work = f"{folder}.work"
        self._git("init", "--quiet", "--bare", "--initial-branch=main", folder, cwd=None)
        self._git("clone", "--quiet", folder, self.work, cwd=None)
        self._git("checkout", "--quiet", "-B", "main")

    def commit(self, files: dict[str, str], *, tag: str = "", branch: str = "main") -> str:
        """Commit files, on a branch; the commit's id."""
        self._git("checkout", "--quiet", "-B", branch)
        for path, text in files.items():
            full = os.path.join(self.work, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "a change")
        if tag:
            self._git("tag", tag)
        return self._published(branch)

    def submodule(self, url: str, path: str) -> str:
        """Commit another repository as a submodule."""
        self._git("submodule", "--quiet", "add", url, path)
        self._git("commit", "--quiet", "--message", "a submodule")
        return self._published("main")

    def _published(self, branch: str) -> str:
        self._git("push", "--quiet", "--force", "--tags", "origin", branch)
        self._git("update-server-info", cwd=self.folder)
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str, cwd: str | None = "") -> str:
        done = subprocess.run(
            ["git", "-c", "protocol.allow=always", "-c", "safe.directory=*", *words],
            cwd=self.work if cwd == "" else cwd,
            env={**os.environ, **_IDENTITY, "no_proxy": "127.0.0.1"},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()


class Member(NamedTuple):
    """A file of a tar."""

    text: str
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)


def tar_of(members: Mapping[str, Member | str], links: Mapping[str, str] = {}) -> bytes:
    """A plain tar of files, and of symlinks by target."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, member in members.items():
            what = Member(member) if isinstance(member, str) else member
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(what.text.encode()), what.mode, TIME
            info.uid, info.gid = what.owner
            archive.addfile(info, io.BytesIO(what.text.encode()))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return out.getvalue()
