"""Resolving and fetching, in memory: logins, redirects, retries, mirrors, lies."""

from __future__ import annotations

import io

import pytest

from fakes.registry import OCI_MANIFEST, FakeRegistry, World, describe, sha, to_json
from jettison.base.errors import InputError, NetworkError
from jettison.oci.documents import Descriptor
from jettison.oci.platform import format_platform, parse_platform
from jettison.oci.reference import parse_reference
from jettison.registry.blob import fetch_blob
from jettison.registry.config import RegistryConfig
from jettison.registry.exchange import Credential, Failed, Response
from jettison.registry.flow import ATTEMPTS, Session
from jettison.registry.image import Tally
from jettison.registry.pull import ACCEPT, resolve

AMD64 = parse_platform("linux/amd64")
HOST = "https://reg.example"


class Sink(io.BytesIO):
    """One that can begin anew."""

    def restart(self) -> None:
        self.seek(0)
        self.truncate()


class Setting:
    """A world with one registry at reg.example that has `app:1`."""

    def __init__(self, registry: FakeRegistry | None = None, config: RegistryConfig | None = None) -> None:
        self.world = World()
        self.registry = registry or FakeRegistry()
        self.world.servers[HOST] = self.registry
        self.world.servers["https://auth.example"] = self.registry.token_server
        self.registry.image("app", "1")
        self.session = Session(config or RegistryConfig())

    def resolve(self, reference: str = "reg.example/app:1", platform: str = "linux/amd64"):
        return self.world.run(resolve(self.session, parse_reference(reference), parse_platform(platform)))

    def fetch(
        self,
        data: bytes,
        *,
        size: int | None = None,
        digest: str | None = None,
        urls: tuple[str, ...] = (),
        restartable: bool = False,
    ):
        sink = (Sink if restartable else io.BytesIO)()
        tally = Tally(sink)
        descriptor = Descriptor(media_type="m", digest=sha(data), size=len(data), urls=urls)
        self.world.run(fetch_blob(self.session, parse_reference("reg.example/app:1"), descriptor, tally), tally)
        return sink.getvalue()

    def fails(self, kind=NetworkError, reference: str = "reg.example/app:1", platform: str = "linux/amd64"):
        with pytest.raises(kind) as caught:
            self.resolve(reference, platform)
        return caught.value


def test_an_image_is_its_two_documents() -> None:
    setting = Setting()
    image = setting.resolve()
    assert sha(image.manifest) == image.digest
    assert sha(image.config) == image.config_digest
    assert image.index_digest is None
    assert [layer.digest for layer in image.layers] == [sha(b"layer")]
    assert format_platform(image.platform) == "linux/amd64"
    first = setting.world.requests[0]
    assert first.url == f"{HOST}/v2/app/manifests/1"
    assert first.headers["accept"] == ACCEPT


def test_an_index_gives_the_fitting_image() -> None:
    setting = Setting()
    arm = setting.registry.image("app", "arm", architecture="arm64")
    amd = setting.registry.image("app", "amd")
    entries = [
        {**arm, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {**amd, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
    digest = setting.registry.index("app", "2", entries)
    image = setting.resolve("reg.example/app:2", "linux/arm64")
    assert (image.digest, image.index_digest) == (arm["digest"], digest)
    by_digest = setting.resolve(f"reg.example/app:moved@{digest}")
    assert by_digest.digest == amd["digest"]


def test_entries_without_a_platform_are_known_by_their_config() -> None:
    setting = Setting()
    arm = setting.registry.image("app", "arm", architecture="arm64")
    amd = setting.registry.image("app", "amd")
    statement = {**arm, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    setting.registry.index("app", "2", [statement, arm, amd])
    assert setting.resolve("reg.example/app:2").digest == amd["digest"]


def test_an_index_without_the_platform_lists_what_it_has() -> None:
    setting = Setting()
    amd = setting.registry.image("app", "amd")
    other = {"os": "unknown", "architecture": "unknown"}
    entries = [{**amd, "platform": {"os": "linux", "architecture": "amd64"}}, {**amd, "platform": other}]
    setting.registry.index("app", "2", entries)
    error = setting.fails(InputError, "reg.example/app:2", "linux/s390x")
    assert "linux/s390x is not among linux/amd64" in error.message
    assert "--platform linux/amd64" in error.hint


def test_an_image_without_an_index_is_taken_whatever_it_is_for() -> None:
    setting = Setting()
    setting.registry.image("app", "arm", architecture="arm", variant="v7")
    assert format_platform(setting.resolve("reg.example/app:arm").platform) == "linux/arm/v7"


def test_docker_hub_has_another_name() -> None:
    setting = Setting()
    setting.world.servers["https://registry-1.docker.io"] = setting.registry
    setting.registry.image("library/busybox", "latest")
    setting.resolve("busybox")
    assert setting.world.requests[0].url.startswith("https://registry-1.docker.io/v2/library/busybox/")


def test_a_bearer_token_is_fetched_once_and_kept() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    setting.resolve()
    assert setting.registry.tokens == 1
    assert setting.registry.token_queries[0] == {"service": ["fake"], "scope": ["repository:app:pull"]}
    setting.resolve()
    assert setting.registry.tokens == 1
    assert setting.world.asked == ["reg.example"]


def test_a_token_that_ran_out_is_fetched_anew() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.registry.anonymous_allowed = True
    setting.resolve()
    setting.registry.valid_tokens.clear()
    setting.resolve()
    assert setting.registry.tokens == 2


def test_an_identity_token_is_posted() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.world.credentials["reg.example"] = Credential(identity_token="identity")
    setting.resolve()
    post = next(request for request in setting.world.requests if request.method == "POST")
    assert b"refresh_token=identity" in post.body
    assert setting.registry.token_queries[0]["grant_type"] == ["refresh_token"]


def test_a_registry_token_is_used_as_it_is() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.registry.valid_tokens.add("given")
    setting.world.credentials["reg.example"] = Credential(registry_token="given")
    setting.resolve()
    assert setting.registry.tokens == 0


def test_basic_login() -> None:
    setting = Setting(FakeRegistry("basic"))
    error = setting.fails()
    assert "401" in error.message
    assert "docker login reg.example" in error.hint
    assert "the test's logins" in error.hint
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="wrong")
    error = setting.fails()
    assert "the login was refused" in error.message
    assert "wrong" not in str(error)
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    assert setting.resolve().digest


def test_a_password_does_not_go_to_a_token_server_without_tls() -> None:
    for realm in ("http://auth.example/token", "file:///etc/passwd", "https://", ""):
        setting = Setting(FakeRegistry("bearer", realm=realm))
        setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
        assert "no token server" in setting.fails().message
        assert all("authorization" not in request.headers for request in setting.world.requests)


def test_a_token_that_could_split_a_header_is_none() -> None:
    setting = Setting(FakeRegistry("bearer"))
    setting.world.servers["https://auth.example"] = lambda _: Response(
        status=200, body=to_json({"token": "a\r\nHost: evil"})
    )
    assert "gave no token" in setting.fails().message


def test_a_login_stays_with_its_server() -> None:
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    setting.world.servers["https://cdn.example"] = lambda _: Response(status=200, body=b"layer")
    setting.registry.overrides.append(
        lambda request: (
            Response(status=307, headers={"location": "https://cdn.example/x?sig=secret"})
            if "/blobs/" in request.url and "authorization" in request.headers
            else None
        )
    )
    assert setting.fetch(b"layer") == b"layer"
    home = [request for request in setting.world.requests if request.url.startswith(HOST)]
    away = [request for request in setting.world.requests if request.url.startswith("https://cdn")]
    assert any("authorization" in request.headers for request in home)
    assert away
    assert all("authorization" not in request.headers for request in away)


def test_a_401_of_another_host_is_not_answered() -> None:
    setting = Setting(FakeRegistry("basic"))
    setting.world.credentials["reg.example"] = Credential(username="user", password="secret")
    challenge = {"www-authenticate": 'Basic realm="x"'}
    setting.world.servers["https://cdn.example"] = lambda _: Response(status=401, headers=challenge)
    setting.registry.once(Response(status=302, headers={"location": "https://cdn.example/x"}), "/blobs/")
    with pytest.raises(NetworkError, match="401"):
        setting.fetch(b"layer")
    assert len([request for request in setting.world.requests if "cdn" in request.url]) == 1


@pytest.mark.parametrize("location", ["http://reg.example/x", "file:///etc/passwd", ""])
def test_a_redirect_leads_nowhere_unsafe(location: str) -> None:
    setting = Setting()
    setting.registry.once(Response(status=302, headers={"location": location}), "/manifests/")
    assert "redirects" in setting.fails().message


def test_redirects_end() -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda request: Response(status=302, headers={"location": request.url + "x"}))
    assert "more than 10 times" in setting.fails().message


def test_what_passes_is_tried_again() -> None:
    setting = Setting()
    setting.registry.once(Response(status=429, headers={"retry-after": "7"}))
    setting.registry.once(Response(status=503))
    setting.registry.once(Failed(kind="cut", detail=""))
    assert setting.resolve().digest
    assert setting.world.waits == [7.0, 1.0, 2.0]


def test_a_server_that_stays_busy_is_given_up() -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda _: Response(status=429, headers={"retry-after": "100000"}))
    error = setting.fails()
    assert "429" in error.message
    assert "docker login" in error.hint
    assert setting.world.waits == [30.0] * (ATTEMPTS - 1)


@pytest.mark.parametrize("kind", ["refused", "dns", "tls", "plain"])
def test_what_does_not_pass_is_not(kind: str) -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda _: Failed(kind=kind, detail="because"))
    error = setting.fails()
    assert "reg.example" in error.message
    assert setting.world.waits == []
    hints = {"tls": "SSL_CERT_FILE", "plain": "JETTISON_INSECURE_REGISTRIES=reg.example"}
    assert hints.get(kind, "--build-context reg.example/app=oci-layout://") in error.hint


def test_what_is_not_there_is_named() -> None:
    error = Setting().fails(reference="reg.example/app:2")
    assert error.message.startswith("reg.example/app:2: reg.example answered 404")
    assert "MANIFEST_UNKNOWN: manifest unknown" in error.message
    assert "mistyped" in error.hint


def test_a_mirror_is_asked_first() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    mirror = FakeRegistry()
    mirror.image("app", "1")
    setting.world.servers["https://mirror.example"] = mirror
    setting.resolve()
    assert all("mirror.example" in url for url in setting.world.urls())


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=404),
        Response(status=500),
        Response(status=403),
        Failed(kind="refused", detail=""),
        Response(status=200, headers={"content-type": "text/html"}, body=b"<html>"),
        Response(status=200, body=b"x" * (4 << 20 | 1)),
    ],
)
def test_a_mirror_that_fails_is_passed_over(answer: Response | Failed) -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example/v2/cache",)}))
    setting.world.servers["https://mirror.example"] = lambda _: answer
    assert setting.resolve().digest
    assert setting.fetch(b"layer", restartable=True) == b"layer"
    assert setting.world.requests[0].url == "https://mirror.example/v2/cache/app/manifests/1"


def test_a_mirror_that_lies_is_found_out() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    setting.world.servers["https://mirror.example"] = lambda _: Response(status=200, body=b"a lie")
    with pytest.raises(NetworkError, match=r"mirror\.example sent other bytes"):
        setting.fetch(b"layer")
    assert setting.fetch(b"layer", restartable=True) == b"layer"


def test_when_all_fail_the_registry_has_the_word() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    error = setting.fails(reference="reg.example/app:2")
    assert error.message.index("reg.example answered 404") < error.message.index("mirror: ")
    assert "mirror.example: connection refused" in error.message


def test_a_blob_goes_on_at_the_next_server() -> None:
    setting = Setting(config=RegistryConfig(mirrors={"reg.example": ("https://mirror.example",)}))
    data = bytes(range(256)) * 10
    for registry, host in ((FakeRegistry(), "https://mirror.example"), (setting.registry, HOST)):
        registry.put_blob(data)
        setting.world.servers[host] = registry
    setting.world.cuts = [100, 0, 0, 0, 0]
    setting.world.servers["https://mirror.example"].overrides.append(
        lambda request: Response(status=410) if "range" in request.headers else None
    )
    assert setting.fetch(data) == data
    assert setting.world.requests[-1].headers["range"] == "bytes=100-"


def test_a_cut_connection_is_resumed() -> None:
    setting = Setting()
    data = bytes(range(256)) * 10
    setting.registry.put_blob(data)
    setting.world.cuts = [1000, 500, 700]
    assert setting.fetch(data) == data
    ranges = [request.headers.get("range") for request in setting.world.requests]
    assert ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=2200-"]


def test_a_server_without_ranges_is_read_from_the_start() -> None:
    setting = Setting()
    data = bytes(range(256)) * 10
    setting.registry.overrides.append(
        lambda request: Response(status=200, body=data) if "/blobs/" in request.url else None
    )
    setting.world.cuts = [1000]
    assert setting.fetch(data) == data


def test_a_server_that_gives_nothing_is_given_up() -> None:
    setting = Setting()
    setting.registry.put_blob(b"data")
    setting.world.cuts = [0] * 20
    with pytest.raises(NetworkError, match="the connection was cut"):
        setting.fetch(b"data")
    assert len(setting.world.requests) == ATTEMPTS


def test_another_range_than_asked_for_is_refused() -> None:
    setting = Setting()
    data = b"0123456789"
    setting.registry.put_blob(data)
    setting.world.cuts = [4]
    setting.registry.overrides.append(
        lambda request: (
            Response(status=206, headers={"content-range": "bytes 6-9/10"}, body=data[6:])
            if "range" in request.headers
            else None
        )
    )
    with pytest.raises(NetworkError, match="another range"):
        setting.fetch(data)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response(status=200, body=b"other"), "other bytes"),
        (Response(status=200, body=b"layer and more"), "more than the 5 bytes"),
        (Response(status=200, headers={"content-length": "4"}, body=b"laye"), "has 4 bytes, the manifest says 5"),
        (Response(status=200, body=b"laye"), "after 4 of 5 bytes"),
    ],
)
def test_a_blob_must_be_what_its_digest_says(answer: Response, words: str) -> None:
    setting = Setting()
    setting.registry.overrides.append(lambda _: answer)
    with pytest.raises(NetworkError, match=words):
        setting.fetch(b"layer")


def test_an_empty_blob_is_a_blob() -> None:
    setting = Setting()
    setting.registry.put_blob(b"")
    assert setting.fetch(b"") == b""


def test_a_foreign_layer_is_fetched_where_it_says() -> None:
    setting = Setting()
    setting.world.servers["https://elsewhere.example"] = lambda _: Response(status=200, body=b"foreign")
    urls = ("http://plain.example/x", "https://elsewhere.example/x")
    assert setting.fetch(b"foreign", urls=urls) == b"foreign"


def served(body: bytes, media_type: str = OCI_MANIFEST, **headers: str) -> Response:
    return Response(status=200, headers={"content-type": media_type, **headers}, body=body)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (served(b"<!doctype html>", "text/html; charset=utf-8"), NetworkError, "a web page"),
        (served(b"  <html>"), NetworkError, "a web page"),
        (served(b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"), InputError, "schema 1"),
        (served(b'{"schemaVersion": 1}'), InputError, "schema 1"),
        (served(b"{"), InputError, "not JSON"),
        (served(b"x" * (4 << 20 | 1)), NetworkError, "more than 4194304 bytes"),
        (served(b"{}", **{"docker-content-digest": sha(b"x")}), NetworkError, "sent other bytes than"),
    ],
)
def test_a_document_that_is_none_is_refused(answer: Response, kind: type[Exception], words: str) -> None:
    setting = Setting()
    setting.registry.once(answer, "/manifests/")
    assert words in setting.fails(kind).message


def test_a_digest_is_of_the_bytes() -> None:
    setting = Setting()
    lie = f"reg.example/app@{sha(b'another')}"
    setting.registry.documents[("app", sha(b"another"))] = setting.registry.documents[("app", "1")]
    assert "sent other bytes than" in setting.fails(reference=lie).message


@pytest.mark.parametrize(("body", "words"), [(b"{}", "sent other bytes"), (b"x" * 9999, "sent more than")])
def test_a_config_must_be_what_its_digest_says(body: bytes, words: str) -> None:
    setting = Setting()
    config = setting.resolve().config
    padded = body if len(body) > len(config) else body.ljust(len(config))
    setting.registry.overrides.append(
        lambda request: Response(status=200, body=padded) if "/blobs/" in request.url else None
    )
    assert words in setting.fails().message


def manifest_with(setting: Setting, **changes: object) -> None:
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], **changes}
    setting.registry.put("app", "odd", OCI_MANIFEST, to_json(document))


def test_documents_must_fit_each_other() -> None:
    setting = Setting()
    config = to_json({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha(b"")]}})
    setting.registry.put_blob(config)
    manifest_with(setting, config=describe(config, ""))
    assert "0 layers, but 1 diff_ids" in setting.fails(InputError, "reg.example/app:odd").message


def test_what_is_no_image_is_refused() -> None:
    setting = Setting()
    manifest_with(setting, config=describe(b"{}", "application/vnd.cncf.helm.config.v1+json"))
    assert "no container image" in setting.fails(InputError, "reg.example/app:odd").message


def test_a_config_of_any_size_is_not_read() -> None:
    setting = Setting()
    manifest_with(setting, config={**describe(b"{}", ""), "size": 1 << 40})
    assert "too many" in setting.fails(InputError, "reg.example/app:odd").message
    assert len(setting.world.requests) == 1


def test_an_index_of_indexes_ends() -> None:
    setting = Setting()
    platform = {"os": "linux", "architecture": "amd64"}
    inner = setting.registry.image("app", "1")
    for depth in range(5):
        document = to_json({"schemaVersion": 2, "manifests": [{**inner, "platform": platform}]})
        setting.registry.put("app", f"deep{depth}", "application/vnd.oci.image.index.v1+json", document)
        inner = describe(document, "application/vnd.oci.image.index.v1+json")
    assert setting.resolve("reg.example/app:deep1").digest
    assert "index in an index" in setting.fails(InputError, "reg.example/app:deep4").message


def test_a_local_registry_is_asked_in_the_protocol_that_it_speaks() -> None:
    setting = Setting()
    setting.world.servers["http://localhost:5000"] = setting.registry
    setting.resolve("localhost:5000/app:1")
    setting.resolve("localhost:5000/app:1")
    pings = [url for url in setting.world.urls() if url.endswith("/v2/")]
    assert pings == ["http://localhost:5000/v2/"]

    setting = Setting()
    wants_tls = Response(status=400, body=b"Client sent an HTTP request to an HTTPS server.")
    setting.world.servers["http://localhost:5000"] = lambda _: wants_tls
    setting.world.servers["https://localhost:5000"] = setting.registry
    setting.resolve("localhost:5000/app:1")
    assert setting.world.requests[-1].verify is False


def test_an_insecure_registry_is_asked_with_tls_first() -> None:
    setting = Setting(config=RegistryConfig(insecure=("lan:5000",)))
    setting.world.servers["http://lan:5000"] = setting.registry
    setting.resolve("lan:5000/app:1")
    assert setting.world.urls()[:2] == ["https://lan:5000/v2/", "http://lan:5000/v2/"]


def test_no_secret_is_shown() -> None:
    setting = Setting(FakeRegistry("bearer"))
    credential = Credential(username="user", password="hunter2", identity_token="")
    setting.world.credentials["reg.example"] = credential
    setting.registry.users = {}
    error = setting.fails()
    assert "hunter2" not in f"{error} {error!r} {credential!r} {setting.world.requests!r}"
