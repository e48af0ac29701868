"""A registry and a driver of flows, both in memory: no socket, no clock, every request on record."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jettison.registry.exchange import (
    AskCredential,
    Credential,
    Drain,
    Drained,
    Failed,
    Lookup,
    Request,
    Response,
    Wait,
    Waited,
)

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

Handler = Callable[[Request], Response | Failed]


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def to_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def describe(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha(data), "size": len(data), **more}


class Body:
    """A streamed body: `cut_after` bytes of it arrive, then the connection breaks."""

    def __init__(self, data: bytes, cut_after: int | None = None) -> None:
        self.data = data
        self.cut_after = cut_after


class World:
    """Servers by `scheme://host`, logins, and a driver. Servers are asked in memory."""

    def __init__(self) -> None:
        self.servers: dict[str, Handler] = {}
        self.credentials: dict[str, Credential] = {}
        self.requests: list[Request] = []
        self.waits: list[float] = []
        self.asked: list[str] = []
        self.bodies: dict[int, Body] = {}
        self.cuts: list[int] = []

    def run(self, flow: Any, sink: Any = None) -> Any:
        """Run a flow to its end, as `registry.wire` does."""
        self._open: Body | None = None
        try:
            action = next(flow)
            while True:
                action = flow.send(self._answer(action, sink))
        except StopIteration as stop:
            return stop.value

    def _answer(self, action: Any, sink: Any) -> Any:
        match action:
            case Request():
                return self._request(action)
            case Drain():
                return self._drain(action, sink)
            case Wait():
                self.waits.append(action.seconds)
                return Waited()
            case AskCredential():
                self.asked.append(action.host)
                return Lookup(credential=self.credentials.get(action.host), origin="the test's logins")
        raise AssertionError(action)

    def _request(self, request: Request) -> Response | Failed:
        self.requests.append(request)
        parts = urlsplit(request.url)
        handler = self.servers.get(f"{parts.scheme}://{parts.netloc}")
        if handler is None:
            return Failed(kind="refused", detail="")
        answer = handler(request)
        if isinstance(answer, Failed):
            return answer
        if request.stream and answer.status in (200, 206):
            self._open = Body(answer.body, self.cuts.pop(0) if self.cuts else None)
            return Response(status=answer.status, headers=answer.headers)
        if len(answer.body) > request.limit:
            return Response(
                status=answer.status, headers=answer.headers, body=answer.body[: request.limit], too_large=True
            )
        return answer

    def _drain(self, drain: Drain, sink: Any) -> Drained:
        body = self._open
        assert body is not None
        whole = body.cut_after is None or body.cut_after >= len(body.data)
        data = body.data if whole else body.data[: body.cut_after]
        rest = data[drain.skip :]
        if rest[: drain.limit]:
            sink.write(rest[: drain.limit])
        return Drained(received=len(rest[: drain.limit]), cut="" if whole else "reset", more=len(rest) > drain.limit)

    def urls(self, method: str = "GET") -> list[str]:
        return [request.url for request in self.requests if request.method == method]


class FakeRegistry:
    """A registry's pulling half. `login`: None (open), `basic` or `bearer`."""

    def __init__(self, login: str | None = None, realm: str = "https://auth.example/token") -> None:
        self.login = login
        self.realm = realm
        self.users = {"user": "secret"}
        self.anonymous_allowed = False
        self.documents: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.overrides: list[Callable[[Request], Response | Failed | None]] = []
        self.tokens = 0
        self.valid_tokens: set[str] = set()
        self.token_queries: list[dict[str, list[str]]] = []

    def put_blob(self, data: bytes) -> str:
        self.blobs[sha(data)] = data
        return sha(data)

    def put(self, name: str, tag: str, media_type: str, document: bytes) -> str:
        self.documents[(name, tag)] = self.documents[(name, sha(document))] = (media_type, document)
        return sha(document)

    def image(self, name: str, tag: str, *, architecture: str = "amd64", variant: str = "", layer: bytes = b"layer"):
        """One image with one layer; its manifest's descriptor."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["A=1"]},
            "rootfs": {"type": "layers", "diff_ids": [sha(b"tar of " + layer)]},
        }
        if variant:
            config["variant"] = variant
        self.put_blob(layer)
        self.put_blob(to_json(config))
        manifest = to_json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": describe(to_json(config), OCI_CONFIG),
                "layers": [describe(layer, OCI_LAYER)],
            }
        )
        self.put(name, tag, OCI_MANIFEST, manifest)
        return describe(manifest, OCI_MANIFEST)

    def index(self, name: str, tag: str, entries: list[dict[str, Any]]) -> str:
        document = to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        return self.put(name, tag, OCI_INDEX, document)

    def __call__(self, request: Request) -> Response | Failed:
        for override in list(self.overrides):
            answer = override(request)
            if answer is not None:
                return answer
        refused = self._refused(request)
        if refused is not None:
            return refused
        path = urlsplit(request.url).path
        if path == "/v2/":
            return Response(status=200)
        name, _, selector = path.removeprefix("/v2/").rpartition("/")
        name, _, kind = name.rpartition("/")
        if kind == "manifests":
            return self._document(name, selector)
        return self._blob(request, selector)

    def once(self, answer: Response | Failed, contains: str = "") -> None:
        """The next request whose URL holds `contains` is answered with `answer`."""

        def override(request: Request) -> Response | Failed | None:
            if contains not in request.url:
                return None
            self.overrides.remove(override)
            return answer

        self.overrides.append(override)

    def token_server(self, request: Request) -> Response:
        """The server that gives Bearer tokens."""
        query = parse_qs(urlsplit(request.url).query) or parse_qs(request.body.decode())
        self.token_queries.append(query)
        given = request.headers.get("authorization", "")
        known = {"Basic " + b64encode(f"{u}:{p}".encode()).decode() for u, p in self.users.items()}
        refresh = query.get("refresh_token", [""])[0] == "identity"
        if given not in known and not refresh and not (self.anonymous_allowed and not given):
            return Response(status=401, body=b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}')
        self.tokens += 1
        token = f"token{self.tokens}"
        self.valid_tokens.add(token)
        return Response(status=200, body=to_json({"token": token}))

    def _refused(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "")
        if self.login == "basic":
            known = {"Basic " + b64encode(f"{u}:{p}".encode()).decode() for u, p in self.users.items()}
            if given not in known:
                return Response(status=401, headers={"www-authenticate": 'Basic realm="the registry"'})
        if self.login == "bearer" and given.removeprefix("Bearer ") not in self.valid_tokens:
            name = urlsplit(request.url).path.removeprefix("/v2/").rpartition("/")[0].rpartition("/")[0]
            challenge = f'Bearer realm="{self.realm}",service="fake",scope="repository:{name}:pull"'
            return Response(status=401, headers={"www-authenticate": challenge})
        return None

    def _document(self, name: str, selector: str) -> Response:
        found = self.documents.get((name, selector))
        if found is None:
            return Response(status=404, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        headers = {"content-type": found[0], "docker-content-digest": sha(found[1])}
        return Response(status=200, headers=headers, body=found[1])

    def _blob(self, request: Request, digest: str) -> Response:
        data = self.blobs.get(digest)
        if data is None:
            return Response(status=404, body=b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
        start = request.headers.get("range", "")
        if start:
            first = int(start.removeprefix("bytes=").rstrip("-"))
            headers = {"content-range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
            return Response(status=206, headers=headers, body=data[first:])
        return Response(status=200, headers={"content-length": str(len(data))}, body=data)
