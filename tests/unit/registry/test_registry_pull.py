"""Resolving, in memory: which image a reference means, and documents that are none."""

from __future__ import annotations

import pytest
from pulling import HOST, Setting

from fakes.registry import OCI_MANIFEST, describe, sha, to_json
from jettison.base.errors import InputError, NetworkError
from jettison.oci.platform import format_platform
from jettison.registry.exchange import Response
from jettison.registry.pull import ACCEPT


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
