"""Files over HTTP for ADD: identity, revalidation, times, checksums, logins, cut downloads."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from email.utils import formatdate

import pytest

from fakes.registry import sha
from fakes.servers import Answer, Said, Server, certificate
from jettison.base.errors import Cancelled, HostError, InputError, NetworkError
from jettison.registry.config import Patience
from jettison.registry.download import http_secret_ids
from jettison.registry.fetch import HttpIdentity, fetch_http, http_authorization, http_identity

BRISK = Patience(connect_s=5, read_s=5, wait_factor=0.001)
DATA = bytes(range(256)) * 4096
TIME = 1_600_000_000


def file_server(**headers: str) -> Server:
    """A server of one file that knows its ETag."""

    def answer(said: Said) -> Answer:
        given = {"Last-Modified": formatdate(TIME, usegmt=True), **headers}
        if headers.get("ETag") and said.headers.get("if-none-match") == headers["ETag"]:
            return Answer(304, given)
        return Answer(200, given, DATA)

    return Server(answer)


def fetch(server: Server, tmp_path, path: str = "/a/file.txt", **options):
    return fetch_http(server.url + path, str(tmp_path / "out"), patience=BRISK, environ={}, **options)


def identity(server: Server, previous: HttpIdentity | None = None, **options) -> HttpIdentity:
    return http_identity(f"{server.url}/file", previous, patience=BRISK, environ={}, **options)


def test_a_file_with_its_time_and_mode(tmp_path) -> None:
    progress: list[int] = []
    with file_server(ETag='"1"') as server:
        found = fetch(server, tmp_path, on_progress=progress.append)
    assert (found.digest, found.size_bytes, found.filename) == (sha(DATA), len(DATA), "file.txt")
    assert (found.last_modified_s, found.etag) == (TIME, '"1"')
    status = os.stat(tmp_path / "out")
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o600, TIME)
    assert (tmp_path / "out").read_bytes() == DATA
    assert progress[-1] == len(DATA)


def test_without_a_time_it_is_the_epoch(tmp_path) -> None:
    with Server(lambda _: Answer(headers={"Last-Modified": "yesterday"}, body=b"x")) as server:
        assert fetch(server, tmp_path).last_modified_s == 0
    assert os.stat(tmp_path / "out").st_mtime == 0


def test_an_etag_is_identity_enough() -> None:
    with file_server(ETag='"1"') as server:
        first = identity(server)
        assert identity(server, first) is first
        assert first.key == identity(server).key
        assert server.said[1].headers["if-none-match"] == '"1"'
    with file_server(ETag='"2"') as server:
        assert identity(server, first).key != first.key


def test_the_fetched_files_identity_has_the_same_key(tmp_path) -> None:
    with file_server(ETag='"1"') as server:
        assert fetch(server, tmp_path).identity.key == identity(server).key


def test_without_an_etag_the_bytes_are_the_identity() -> None:
    with file_server() as server:
        found = identity(server)
    assert (found.digest, found.key, found.last_modified_s) == (sha(DATA), sha(DATA), TIME)
    assert len(server.said) == 1


def test_a_checksum_is_identity_without_asking() -> None:
    assert http_identity("http://nowhere.invalid/x", checksum=sha(DATA)).key == sha(DATA)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_checksums(tmp_path, algorithm: str) -> None:
    with file_server() as server:
        right = f"{algorithm}:{hashlib.new(algorithm, DATA).hexdigest()}"
        assert fetch(server, tmp_path, checksum=right).digest == sha(DATA)
        os.unlink(tmp_path / "out")
        with pytest.raises(InputError, match="digest mismatch"):
            fetch(server, tmp_path, checksum=right[:-4] + "0000")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("checksum", ["", "sha256:", "md5:" + "a" * 32, "sha256:" + "A" * 64, "a" * 64])
def test_what_is_no_checksum(checksum: str) -> None:
    with pytest.raises(InputError, match="not a checksum"):
        http_identity("http://nowhere.invalid/x", checksum=checksum)


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "http://", "http:///x", "http://h/a b", "http://h/\r\nX: y", "file:///etc/passwd"]
)
def test_what_is_no_url(tmp_path, url: str) -> None:
    with pytest.raises(InputError, match="not an http"):
        fetch_http(url, str(tmp_path / "out"))


def test_a_login_stays_with_its_server(tmp_path) -> None:
    with Server(lambda _: Answer(body=DATA)) as far:
        target = f"http://localhost:{far.port}/there?key=secret"
        with Server(lambda _: Answer(302, {"Location": target})) as near:
            assert fetch(near, tmp_path, authorization="Bearer secret").filename == "file.txt"
        assert near.said[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in far.said[0].headers


@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', ""])
def test_a_cut_download_goes_on_or_begins_anew(tmp_path, etag: str) -> None:
    tries: list[str] = []

    def answer(said: Said) -> Answer:
        tries.append(said.headers.get("range", ""))
        headers = {"ETag": etag} if etag else {}
        start = int(tries[-1][6:-1]) if tries[-1] else 0
        cut = len(tries) < 4
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        body = DATA[start : start + 200_000] if cut else DATA[start:]
        return Answer(206 if start else 200, headers, body, length=len(DATA) - start, cut=cut)

    with Server(answer) as server:
        assert fetch(server, tmp_path).digest == sha(DATA)
    assert (tmp_path / "out").read_bytes() == DATA
    resumed = ["", "bytes=200000-", "bytes=400000-", "bytes=600000-"]
    assert tries == (resumed if etag == '"1"' else [""] * 4)


def test_a_file_that_changes_while_it_is_fetched_is_fetched_anew(tmp_path) -> None:
    def answer(said: Said) -> Answer:
        if "range" in said.headers:
            assert said.headers["if-range"] == '"1"'
            return Answer(200, {"ETag": '"2"', "Last-Modified": formatdate(TIME, usegmt=True)}, b"new")
        return Answer(200, {"ETag": '"1"'}, DATA[:1000], length=len(DATA), cut=True)

    with Server(answer) as server:
        found = fetch(server, tmp_path)
    assert (found.etag, found.digest, found.last_modified_s) == ('"2"', sha(b"new"), TIME)
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "there is no such file"), (401, "needs a login"), (500, "the server failed"), (304, "304")],
)
def test_what_a_server_refuses(tmp_path, status: int, words: str) -> None:
    with Server(lambda _: Answer(status)) as server, pytest.raises(NetworkError, match=words) as caught:
        fetch(server, tmp_path, "/x?token=secret")
    assert "token=secret" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("login", "words"), [("", "it needs a login"), ("Bearer old", "the login was refused")], ids=("none", "refused")
)
def test_a_file_that_needs_a_login_names_the_secret_that_gives_it(tmp_path, login: str, words: str) -> None:
    with Server(lambda _: Answer(401)) as server, pytest.raises(NetworkError, match=words) as caught:
        fetch(server, tmp_path, authorization=login)
    host = server.url.partition("//")[2]
    assert caught.value.hint == f"--secret id=HTTP_AUTH_TOKEN_{host},env=NAME gives the token for this server"


def test_certificates_are_checked_on_this_machine_too(tmp_path) -> None:
    path, context = certificate(str(tmp_path), "127.0.0.1")
    with Server(lambda _: Answer(body=DATA), context) as server:
        with pytest.raises(NetworkError, match="certificate was not accepted"):
            fetch(server, tmp_path)
        environ = {"SSL_CERT_FILE": path}
        assert fetch_http(server.url, str(tmp_path / "out"), environ=environ, patience=BRISK).digest == sha(DATA)


def test_through_a_proxy(tmp_path) -> None:
    with Server(lambda _: Answer(body=b"far")) as proxy:
        environ = {"HTTP_PROXY": proxy.url, "NO_PROXY": "other.invalid"}
        found = fetch_http("http://far.invalid/x", str(tmp_path / "out"), environ=environ, patience=BRISK)
        assert proxy.said[0].path == "http://far.invalid/x"
        with pytest.raises(NetworkError, match="cannot be resolved"):
            fetch_http("http://other.invalid/x", str(tmp_path / "out2"), environ=environ, patience=BRISK)
    assert found.digest == sha(b"far")


def test_nothing_is_overwritten(tmp_path) -> None:
    (tmp_path / "out").write_text("mine")
    with file_server() as server, pytest.raises(HostError, match="exists"):
        fetch(server, tmp_path)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_download_stops_when_asked(tmp_path) -> None:
    asked = threading.Event()

    def answer(_: Said) -> Answer:
        asked.set()
        return Answer(body=DATA, endless=True)

    with Server(answer) as server, pytest.raises(Cancelled):
        fetch(server, tmp_path, cancel=asked)
    assert not (tmp_path / "out").exists()


def test_secrets_for_a_host() -> None:
    ids = ("HTTP_AUTH_HEADER_h:8", "HTTP_AUTH_TOKEN_h:8")
    assert http_secret_ids("https://user@h:8/x") == ids
    assert http_authorization(None, b"token\n") == "Bearer token"
    assert http_authorization(b"Basic abc", b"token") == "Basic abc"
    assert http_authorization(None, None) == ""
    with pytest.raises(InputError, match="more than one line"):
        http_authorization(None, b"a\r\nX-Evil: b")
