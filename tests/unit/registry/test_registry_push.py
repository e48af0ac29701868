"""Writing to a registry, in memory: what is there is not sent, logins stay at home, what fails is tried again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from fakes.registry import OCI_MANIFEST, FakeRegistry, World, sha
from jettison.base.errors import NetworkError
from jettison.oci.documents import Descriptor
from jettison.oci.reference import parse_reference
from jettison.registry.config import RegistryConfig
from jettison.registry.exchange import Credential, Failed, Request, Response
from jettison.registry.flow import ATTEMPTS, Session
from jettison.registry.push import has_blob, push_blob, push_manifest

HOST = "https://reg.example"
APP = parse_reference("reg.example/app:cache")
DATA = b"a layer"
BLOB = Descriptor(media_type="m", digest=sha(DATA), size=len(DATA))


class Writable(FakeRegistry):
    """The other half: uploads in one piece. What a driver would send is `sending`."""

    def __init__(self, login: str | None = None, uploads: str = "/v2/app/blobs/uploads/1?state=x") -> None:
        super().__init__(login)
        self.uploads = uploads
        self.sending = DATA

    def _blob(self, request: Request, digest: str) -> Response:
        if request.method == "POST":
            return Response(status=202, headers={"location": self.uploads})
        if request.method == "PUT":
            named = parse_qs(urlsplit(request.url).query)["digest"][0]
            if self.put_blob(self.sending) != named or request.upload != len(self.sending):
                return Response(status=400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}')
            return Response(status=201)
        return super()._blob(request, digest)

    def __call__(self, request: Request) -> Response | Failed:
        path = urlsplit(request.url).path
        if request.method == "PUT" and "/manifests/" in path and self._refused(request) is None:
            name, _, tag = path.removeprefix("/v2/").partition("/manifests/")
            self.put(name, tag, request.headers["content-type"], request.body)
            return Response(status=201)
        return super().__call__(request)


class Setting:
    def __init__(self, registry: Writable, config: RegistryConfig | None = None) -> None:
        self.registry = registry
        self.world = World()
        self.world.servers[HOST] = registry
        self.world.servers["https://auth.example"] = registry.token_server
        self.session = Session(config or RegistryConfig())

    def push(self) -> bool:
        return self.world.run(push_blob(self.session, APP, BLOB))


def test_a_blob_is_sent_once() -> None:
    setting = Setting(Writable())
    assert setting.push()
    assert setting.registry.blobs[BLOB.digest] == DATA
    assert not setting.push()
    assert [request.method for request in setting.world.requests] == ["HEAD", "POST", "PUT", "HEAD"]
    assert setting.world.run(has_blob(setting.session, APP, BLOB.digest))
    assert not setting.world.run(has_blob(setting.session, APP, sha(b"other")))


def test_the_digest_is_added_to_the_place_that_the_registry_names() -> None:
    setting = Setting(Writable())
    setting.push()
    assert setting.world.urls("PUT") == [f"{HOST}/v2/app/blobs/uploads/1?state=x&digest={BLOB.digest}"]


def test_a_token_that_may_write_is_asked_for() -> None:
    setting = Setting(Writable("bearer"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    assert setting.push()
    puts = [request for request in setting.world.requests if request.method == "PUT"]
    assert puts[0].headers["authorization"].startswith("Bearer token")


def test_a_login_does_not_leave_with_an_upload_that_goes_elsewhere() -> None:
    registry = Writable("basic", "https://storage.example/put/1")
    setting = Setting(registry)
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    elsewhere: list[Request] = []

    def storage(request: Request) -> Response:
        elsewhere.append(request)
        return Response(status=201)

    setting.world.servers["https://storage.example"] = storage
    assert setting.push()
    assert "authorization" not in elsewhere[0].headers
    assert elsewhere[0].verify


@pytest.mark.parametrize(
    ("place", "words"), [("http://reg.example/v2/x", "in the clear"), ("", "names no place"), ("ftp://x/", "no place")]
)
def test_places_that_nothing_is_sent_to(place: str, words: str) -> None:
    setting = Setting(Writable(uploads=place))
    with pytest.raises(NetworkError, match=words):
        setting.push()


def test_an_upload_that_fails_begins_anew() -> None:
    setting = Setting(Writable())
    setting.registry.once(Response(status=503), "uploads/1")
    setting.registry.once(Failed(kind="cut", detail=""), "uploads/1")
    assert setting.push()
    assert [request.method for request in setting.world.requests] == ["HEAD", *["POST", "PUT"] * 3]
    assert len(setting.world.waits) == 2


def test_it_is_given_up_at_last() -> None:
    setting = Setting(Writable())
    for _ in range(ATTEMPTS):
        setting.registry.once(Response(status=500), "uploads/1")
    with pytest.raises(NetworkError, match="500"):
        setting.push()


def test_who_may_not_write_is_told_so() -> None:
    setting = Setting(Writable("basic"))
    with pytest.raises(NetworkError, match="writing needs a login") as caught:
        setting.push()
    assert "docker login reg.example" in (caught.value.hint or "")


def test_mirrors_are_never_written_to() -> None:
    setting = Setting(Writable(), RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    setting.push()
    assert all(request.url.startswith(HOST) for request in setting.world.requests)


def test_a_manifest_gets_its_name() -> None:
    setting = Setting(Writable("bearer"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    assert setting.world.run(push_manifest(setting.session, APP, b"{}", OCI_MANIFEST)) == sha(b"{}")
    assert setting.registry.documents["app", "cache"] == (OCI_MANIFEST, b"{}")
