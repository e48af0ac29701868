"""A server for ADD and for contexts that are fetched: pages as the cases have them, repositories by git, and the images
that cases make by hand, as a registry has them (`@host@/PARAGRAPH-NAME/IMAGE`, under whatever tag).
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

from conformance.case import Page


class Site:
    """What is served for one case: pages by path (without the leading slash), repositories in a folder."""

    def __init__(self, pages: dict[str, Page], bodies: dict[str, bytes], repositories: str) -> None:
        self.pages = pages
        self.bodies = bodies
        self.repositories = repositories
        self.requests: list[str] = []


class Server:
    """Serves sites on a port of this machine, each below a folder of its own, and its page "" as `/?NAME` too."""

    def __init__(self) -> None:
        self.sites: dict[str, Site] = {}
        sites = self.sites

        class Handler(_Handler):
            served = sites

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def address(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextmanager
def serving() -> Iterator[Server]:
    """A server while the block runs."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[dict[str, Site]] = {}
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def _answer(self) -> None:
        place = urlsplit(self.path)
        if place.path.startswith("/v2/"):
            self._registry(place.path.split("/")[2:])
            return
        name, _, path = place.path.lstrip("/").partition("/")
        name = name or place.query
        site = self.served.get(name)
        if site is None:
            self._send(404, {}, b"no such site\n")
        elif ".git/" in path:
            self._git(site, path, place.query)
        else:
            page = site.pages.get(path)
            status = self._page(site, path, page) if page else self._send(404, {}, b"no such page\n")
            site.requests.append(f"{self.command} {path} {status}")

    def _registry(self, parts: list[str]) -> None:
        """`SITE/IMAGE/manifests|blobs/REFERENCE`, from the image's layout: a tag is its first manifest."""
        site = self.served.get(parts[0])
        blobs = os.path.join(os.path.dirname(site.repositories), "images", parts[1], "blobs") if site else ""
        if len(parts) != 4 or not os.path.isdir(blobs):
            self._send(404, {}, b'{"errors":[{"code":"NAME_UNKNOWN"}]}')
            return
        digest = parts[3]
        if ":" not in digest:
            with open(os.path.join(blobs, "..", "index.json"), encoding="utf-8") as file:
                digest = json.load(file)["manifests"][0]["digest"]
        with open(os.path.join(blobs, *digest.split(":")), "rb") as file:
            body = file.read()
        kind = json.loads(body)["mediaType"] if parts[2] == "manifests" else "application/octet-stream"
        self._send(200, {"Content-Type": kind, "Docker-Content-Digest": digest}, body)

    def _page(self, site: Site, path: str, page: Page) -> int:
        if page.wants and not self._has_login(page):
            return self._send(401, {"WWW-Authenticate": 'Basic realm="here"'}, b"")
        etag = page.headers.get("ETag")
        if etag and etag in (self.headers.get("If-None-Match") or ""):
            return self._send(304, {"ETag": etag}, b"")
        return self._send(page.status, page.headers, site.bodies[path])

    def _has_login(self, page: Page) -> bool:
        """Schemes are in any case of letters."""
        scheme, _, rest = (self.headers.get("Authorization") or "").partition(" ")
        wanted, _, word = page.wants.partition(" ")
        return (scheme.lower(), rest) == (wanted.lower(), word)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> int:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)
        return status

    def _git(self, site: Site, path: str, query: str) -> None:
        wanted = site.pages.get(path.partition(".git/")[0] + ".git")
        if wanted is not None and not self._has_login(wanted):
            self._send(401, {"WWW-Authenticate": 'Basic realm="here"'}, b"")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        variables = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "GIT_PROJECT_ROOT": site.repositories,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": f"/{path}",
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
        }
        done = subprocess.run(["git", "http-backend"], env=variables, input=body, stdout=subprocess.PIPE, check=True)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        said = _headers(head)
        status = int((said.pop("Status", None) or "200").split()[0])
        self._send(status, said, rest)


def _headers(head: bytes) -> dict[str, str]:
    message = Message()
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        message[name] = value
    return dict(message.items())
