"""ADD from servers, for root and for an ordinary user: what is asked of them again, logins, pins, git of plain files.
Reference §1.7.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator

import pytest

from project import project
from served import TIME, Page, Site, tar_of
from somebody import Somebody, somebody
from users import ordinary_user

__all__ = ["ordinary_user", "project", "somebody"]

WHEN = "Sun, 13 Sep 2020 12:26:40 GMT"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def site(tmp_path: object) -> Iterator[Site]:
    """A server."""
    with Site(os.path.join(str(tmp_path), "served")) as served:
        yield served


def test_a_file_is_fetched_once_while_its_etag_stays(somebody: Somebody, site: Site) -> None:
    site.pages["dir/file.txt"] = Page(b"one", {"ETag": '"1"', "Last-Modified": WHEN})
    somebody.dockerfile(f"ADD {site.url('dir/file.txt')} /d/", "RUN stat -c '%a %u:%g %Y' /d/file.txt > /seen")
    assert somebody.got("seen") == f"600 0:0 {TIME}\n"
    first = list(site.asked)
    site.asked.clear()
    assert somebody.got("d/file.txt") == "one"
    assert site.asked in (["HEAD dir/file.txt 304"], ["GET dir/file.txt 304"])
    assert first[-1] == "GET dir/file.txt 200"
    site.pages["dir/file.txt"] = Page(b"two", {"ETag": '"2"'})
    assert somebody.got("d/file.txt") == "two"


def test_a_file_without_an_etag_is_told_by_its_bytes(somebody: Somebody, site: Site) -> None:
    site.pages["file"] = Page(b"one")
    somebody.dockerfile(f"ADD {site.url('file')} /f", "RUN cat /f > /seen")
    somebody.got("seen")
    said = somebody.project.build().ok().stderr
    assert "RUN cat /f > /seen\n#4 CACHED" in said
    site.pages["file"] = Page(b"two")
    assert somebody.got("seen") == "two"


def test_a_checksum_holds_and_is_no_key(somebody: Somebody, site: Site) -> None:
    digest = hashlib.sha256(b"pinned").hexdigest()
    site.pages["file"] = Page(b"pinned", {"ETag": '"1"'})
    somebody.dockerfile(f"ADD {site.url('file')} /f")
    somebody.got("f")
    somebody.dockerfile(f"ADD --checksum=sha256:{digest} {site.url('file')} /f")
    steps = somebody.project.record()["steps"]
    assert [step["hit"] for step in steps if "ADD" in step["display"] and step.get("stage")] == ["content"]
    site.pages["file"] = Page(b"another", {"ETag": '"2"'})
    site.asked.clear()
    somebody.dockerfile(f"ADD --checksum=sha256:{digest} {site.url('file')} /other")
    assert somebody.got("other") == "pinned"
    assert site.asked == []  # what is pinned is known
    somebody.dockerfile(f"ADD --checksum=sha256:{'0' * 64} {site.url('file')} /f")
    said = somebody.project.build()
    assert said.code == 4
    assert "digest mismatch" in said.stderr
    assert "Dockerfile:2" in said.stderr


def test_redirects_are_followed_and_logins_stay_home(somebody: Somebody, site: Site, tmp_path: object) -> None:
    with Site(os.path.join(str(tmp_path), "elsewhere")) as other:
        other.pages["real"] = Page(b"moved")
        other.pages["wants"] = Page(b"", wants="Bearer home-token")
        site.pages["file"] = Page(b"", {"Location": other.url("real")}, wants="Bearer home-token")
        site.pages["leak"] = Page(b"", {"Location": other.url("wants")}, wants="Bearer home-token")
        host = site.server.url.partition("//")[2]
        token = somebody.file("token", "home-token\n")
        secret = f"--secret=id=HTTP_AUTH_TOKEN_{host},src={token}"
        somebody.dockerfile(f"ADD {site.url('file')} /f")
        assert somebody.got("f", secret) == "moved"
        assert all("authorization" not in said.headers for said in other.server.said)
        somebody.dockerfile(f"ADD {site.url('leak')} /f")
        assert somebody.project.build(secret).code == 5


def test_a_header_as_login(somebody: Somebody, site: Site) -> None:
    basic = "Basic " + base64.b64encode(b"me:word").decode()
    site.pages["file"] = Page(b"private", wants=basic)
    somebody.dockerfile(f"ADD {site.url('file')} /f")
    said = somebody.project.build()
    assert said.code == 5
    assert "401" in said.stderr
    host = site.server.url.partition("//")[2]
    header = somebody.file("header", basic)
    words = (f"--secret=id=HTTP_AUTH_HEADER_{host},src={header}",)
    assert somebody.got("f", *words) == "private"
    assert "me:word" not in somebody.project.build(*words).stderr


def test_an_archive_is_unpacked_when_that_is_asked(somebody: Somebody, site: Site) -> None:
    site.pages["a.tar"] = Page(tar_of({"x/file": "inside"}))
    somebody.dockerfile(f"ADD {site.url('a.tar')} /plain/", f"ADD --unpack=true {site.url('a.tar')} /open/")
    image = somebody.project.image()
    assert image.file("open/x/file") == b"inside"
    assert image.tree()["plain/a.tar"]["mode"] == "0600"


def test_a_server_that_is_gone_is_told(somebody: Somebody, site: Site) -> None:
    site.pages["file"] = Page(b"x", {"ETag": '"1"'})
    somebody.dockerfile(f"ADD {site.url('file')} /f")
    somebody.got("f")
    del site.pages["file"]
    said = somebody.project.build()
    assert said.code == 5
    assert "404" in said.stderr
    assert "Dockerfile:2" in said.stderr


def test_a_repository_of_plain_files(somebody: Somebody, site: Site) -> None:
    library = site.repository("library")
    library.commit({"lib": "1"})
    app = site.repository("app")
    first = app.commit({"a": "1", "sub/b": "b"}, tag="v1")
    app.submodule(site.url("library.git"), "vendor")
    last = app.commit({"a": "2"})
    url = site.url("app.git")
    somebody.dockerfile(
        f"ADD {url} /all/",
        f"ADD --keep-git-dir {url}#v1 /git/",
        f"ADD {url}?tag=v1&subdir=sub /sub/",
        f"ADD {url}?submodules=false /bare/",
        f"ADD --checksum={first[:8]} {url}#v1 /pinned/",
        f"ADD {url}#{first} /commit/",
        "RUN stat -c '%a %u:%g' /all/a > /seen",
    )
    image = somebody.project.image()
    found = {path for path, node in image.tree().items() if node["type"] == "file"}
    assert {"all/a", "all/sub/b", "all/vendor/lib", "all/.gitmodules", "sub/b", "pinned/a", "git/.git/HEAD"} <= found
    assert not {"sub/a", "bare/vendor/lib", "commit/vendor/lib", "git/vendor/lib"} & found
    assert not any(path.startswith(("all/.git/", "all/vendor/.git")) for path in found)
    assert (image.file("all/a"), image.file("git/a"), image.file("commit/a")) == (b"2", b"1", b"1")
    assert image.file("seen") == b"644 0:0\n"
    assert image.file("git/.git/HEAD").strip().decode() == first
    assert "DONE" not in somebody.project.build().ok().stderr
    somebody.dockerfile(f"ADD --checksum={last} {url}#v1 /pinned/")
    said = somebody.project.build()
    assert said.code == 4
    assert f"expected checksum to match {last}, got {first}" in said.stderr


def test_a_private_repository(somebody: Somebody, site: Site) -> None:
    site.repository("app").commit({"a": "private"})
    wants = "basic " + base64.b64encode(b"x-access-token:hidden-token").decode()
    site.private["app.git/"] = wants
    somebody.dockerfile(f"ADD {site.url('app.git')} /app/")
    said = somebody.project.build()
    assert said.code == 5
    assert "GIT_AUTH_TOKEN" in said.stderr
    token = somebody.file("token", "hidden-token")
    host = site.server.url.partition("//")[2]
    for name in ("GIT_AUTH_TOKEN", f"GIT_AUTH_TOKEN.{host}"):
        words = (f"--secret=id={name},src={token}", "--no-cache")
        assert somebody.got("app/a", *words) == "private"
    said = somebody.project.build(f"--secret=id=GIT_AUTH_TOKEN.elsewhere,src={token}", "--pull")
    assert "hidden-token" not in said.stderr
