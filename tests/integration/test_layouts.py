"""What we write is read by programs that this project did not write: skopeo inspects, umoci unpacks."""

import json
import os
from typing import Any

import pytest

import images
import peers
from project import Project, project

__all__ = ["project"]

DOCKERFILE = """\
FROM busybox AS make
RUN mkdir -p /out/d && echo made > /out/d/f && ln /out/d/f /out/d/g && ln -s d/f /out/l && chmod 4711 /out/d/f
FROM busybox
COPY --from=make --chown=12:34 /out /srv/
RUN rm /etc/group
ENV GREETING=hello
LABEL org.example.made="by a test"
USER 12:34
WORKDIR /srv
EXPOSE 8080
CMD ["cat", "l"]
"""

pytestmark = pytest.mark.peer


@pytest.fixture
def built(project: Project) -> Project:
    """A project with bases, links, a whiteout and metadata in its image."""
    project.base().write("Dockerfile", DOCKERFILE)
    return project


def inspect(reference: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(peers.call(["skopeo", "inspect", "--config", reference]))
    return found


def check_config(config: dict[str, Any]) -> None:
    assert config["config"]["Cmd"] == ["cat", "l"]
    assert config["config"]["User"] == "12:34"
    assert config["config"]["WorkingDir"] == "/srv"
    assert "GREETING=hello" in config["config"]["Env"]
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    assert len(config["rootfs"]["diff_ids"]) == sum(not entry.get("empty_layer") for entry in config["history"])


def test_skopeo_inspects_an_oci_archive(built: Project) -> None:
    path = os.path.join(built.out, "image.tar")
    built.build(f"--output=type=oci,dest={path}", "--tag=example.org/made:1").ok()
    check_config(inspect(f"oci-archive:{path}"))
    manifest = json.loads(peers.call(["skopeo", "inspect", f"oci-archive:{path}"]))
    assert manifest["Layers"] == [layer["digest"] for layer in images.read(path).manifest["layers"]]


def test_skopeo_inspects_an_oci_directory(built: Project) -> None:
    path = os.path.join(built.out, "layout")
    built.build(f"--output=type=oci,tar=false,dest={path}", "--tag=example.org/made:1").ok()
    check_config(inspect(f"oci:{path}"))


def test_skopeo_copies_every_layer_and_checks_its_digest(built: Project) -> None:
    path, copied = os.path.join(built.out, "image.tar"), os.path.join(built.out, "copied")
    built.build(f"--output=type=oci,dest={path}", "--tag=example.org/made:1").ok()
    peers.call(["skopeo", "--insecure-policy", "copy", f"oci-archive:{path}", f"oci:{copied}:1"])
    assert images.differences(images.plain(images.read(path).tree()), images.plain(images.read(copied).tree())) == []


def test_skopeo_reads_a_docker_archive_back(built: Project) -> None:
    path, copied = os.path.join(built.out, "docker.tar"), os.path.join(built.out, "copied")
    built.build(f"--output=type=docker,dest={path}", "--tag=example.org/made:1").ok()
    check_config(inspect(f"docker-archive:{path}"))
    assert (
        json.loads(peers.call(["skopeo", "inspect", f"docker-archive:{path}"]))["Labels"]["org.example.made"]
        == "by a test"
    )
    peers.call(["skopeo", "--insecure-policy", "copy", f"docker-archive:{path}", f"oci:{copied}:1"])
    assert images.differences(images.plain(images.read(path).tree()), images.plain(images.read(copied).tree())) == []


@pytest.mark.root
def test_umoci_unpacks_what_the_image_says(built: Project) -> None:
    layout, bundle = os.path.join(built.out, "layout"), os.path.join(built.out, "bundle")
    built.build(f"--output=type=oci,tar=false,dest={layout}", "--tag=example.org/made:1").ok()
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        index = json.load(file)
    name = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    peers.call(["umoci", "unpack", "--image", f"{layout}:{name}", bundle])
    tree = os.path.join(bundle, "rootfs")
    status = os.stat(os.path.join(tree, "srv/d/f"))
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777, status.st_nlink) == (12, 34, 0o4711, 2)
    assert os.readlink(os.path.join(tree, "srv/l")) == "d/f"
    assert not os.path.exists(os.path.join(tree, "etc/group"))
    with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
        process = json.load(file)["process"]
    assert process["args"] == ["cat", "l"]
    assert process["cwd"] == "/srv"
