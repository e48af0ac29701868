"""Pulling from the registry that Debian packages: images pushed there by skopeo, open and behind a login."""

from __future__ import annotations

import io
import json
import os
import subprocess
from base64 import b64encode

import pytest

from bases.layout import Image, Layer
from fakes.servers import free_port, started
from jettison.base.errors import NetworkError
from jettison.oci.platform import format_platform, parse_platform
from jettison.registry.client import Registry
from jettison.registry.config import Patience
from jettison.registry.layout import open_layout

AMD64 = parse_platform("linux/amd64")
HTPASSWD = "ada:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"  # of: secret

pytestmark = pytest.mark.peer


def layout(directory: str, architecture: str, text: str) -> str:
    """An OCI layout with one image."""
    image = Image(directory, architecture)
    layer = Layer("made by hand")
    layer.file("etc/who", text)
    layer.file("big", os.urandom(300_000))
    image.layer(layer)
    image.finish("app", {"Env": [f"WHO={text}"]})
    return directory


def push(source: str, address: str, *flags: str) -> None:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *flags]
    subprocess.run([*command, source, f"docker://{address}"], check=True, capture_output=True)


@pytest.fixture
def registry(tmp_path):
    """Runs a registry; its address. With a login when the test asks for one."""
    with started(*_command(tmp_path, {}, free_port())) as process:
        yield process.args[-1]


def _command(tmp_path, more: dict, port: int) -> tuple[list[str], int]:
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "log": {"level": "error"},
        **more,
    }
    (tmp_path / "registry.yml").write_text(json.dumps(config))
    script = 'exec docker-registry serve "$1"'
    return ["sh", "-c", script, "sh", str(tmp_path / "registry.yml"), f"127.0.0.1:{port}"], port


@pytest.fixture
def client(tmp_path):
    (tmp_path / "home").mkdir()
    made = Registry(environ={"HOME": str(tmp_path / "home")}, patience=Patience(wait_factor=0.001))
    yield made
    made.close()


def test_an_image_arrives_as_it_was_pushed(tmp_path, registry: str, client: Registry) -> None:
    directory = layout(str(tmp_path / "made"), "amd64", "ada")
    push(f"oci:{directory}:latest", f"{registry}/team/app:1")
    source, name = open_layout(directory)
    made = source.resolve(name, AMD64)
    pulled = client.resolve(f"{registry}/team/app:1", AMD64)
    assert (pulled.config, pulled.layers) == (made.config, made.layers)
    assert client.resolve(f"{registry}/team/app@{pulled.digest}", AMD64).digest == pulled.digest
    there, here = io.BytesIO(), io.BytesIO()
    client.fetch_blob(f"{registry}/team/app:1", pulled.layers[0], there)
    source.fetch_blob(name, made.layers[0], here)
    assert there.getvalue() == here.getvalue()


def test_dockers_own_media_types(tmp_path, registry: str, client: Registry) -> None:
    directory = layout(str(tmp_path / "made"), "amd64", "ada")
    push(f"oci:{directory}:latest", f"{registry}/app:docker", "--format", "v2s2")
    pulled = client.resolve(f"{registry}/app:docker", AMD64)
    assert pulled.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert pulled.layers[0].media_type.startswith("application/vnd.docker.image.rootfs")


def test_an_index_gives_each_platform_its_own(tmp_path, registry: str, client: Registry) -> None:
    directory = str(tmp_path / "both")
    entries = []
    for architecture in ("amd64", "arm64"):
        one = layout(str(tmp_path / architecture), architecture, architecture)
        with open(os.path.join(one, "index.json")) as file:
            entries += json.load(file)["manifests"]
        subprocess.run(["cp", "-r", f"{one}/.", directory], check=True)
    for entry in entries:
        del entry["annotations"]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    from fakes.registry import describe, sha, to_json

    data = to_json(index)
    with open(os.path.join(directory, "blobs", "sha256", sha(data)[7:]), "wb") as file:
        file.write(data)
    with open(os.path.join(directory, "index.json"), "wb") as file:
        file.write(to_json({"schemaVersion": 2, "manifests": [describe(data, index["mediaType"])]}))
    push(f"oci:{directory}", f"{registry}/app:both", "--all")
    for platform in ("linux/amd64", "linux/arm64"):
        pulled = client.resolve(f"{registry}/app:both", parse_platform(platform))
        assert format_platform(pulled.platform) == platform
        assert pulled.index_digest == sha(data)


def test_what_is_not_there(registry: str, client: Registry) -> None:
    with pytest.raises(NetworkError, match="MANIFEST_UNKNOWN") as caught:
        client.resolve(f"{registry}/app:none", AMD64)
    assert "mistyped" in caught.value.hint


def test_a_mirror_of_docker_hub(tmp_path, registry: str) -> None:
    push(f"oci:{layout(str(tmp_path / 'made'), 'amd64', 'ada')}:latest", f"{registry}/library/busybox:1")
    mirrored = {"HOME": str(tmp_path), "JETTISON_REGISTRY_MIRRORS": f"docker.io=http://{registry}"}
    client = Registry(environ=mirrored)
    assert client.resolve("busybox:1", AMD64).endpoint == registry
    client.close()


def test_a_login(tmp_path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}}
    with started(*_command(tmp_path, auth, free_port())) as process:
        address = process.args[-1]
        directory = layout(str(tmp_path / "made"), "amd64", "ada")
        push(f"oci:{directory}:latest", f"{address}/app:1", "--dest-creds", "ada:secret")
        environ = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
        for password, words in ((None, "needs a login"), ("wrong", "the login was refused")):
            if password:
                login(tmp_path, address, password)
            client = Registry(environ=environ)
            with pytest.raises(NetworkError, match=words) as caught:
                client.resolve(f"{address}/app:1", AMD64)
            assert f"docker login {address}" in caught.value.hint
            assert str(tmp_path / "config.json") in caught.value.hint
            client.close()
        login(tmp_path, address, "secret")
        client = Registry(environ=environ)
        pulled = client.resolve(f"{address}/app:1", AMD64)
        sink = io.BytesIO()
        client.fetch_blob(f"{address}/app:1", pulled.layers[0], sink)
        assert len(sink.getvalue()) == pulled.layers[0].size
        client.close()


def login(tmp_path, address: str, password: str) -> None:
    """As `docker login` writes it."""
    auth = b64encode(f"ada:{password}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
