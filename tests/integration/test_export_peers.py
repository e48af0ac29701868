"""Other programs read our exports: skopeo copies and inspects them, umoci unpacks them, `ocidiff` finds them equal."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from handmade import image_of
from jettison.base.digest import digest_of
from jettison.export.docker_archive import write_docker_archive
from jettison.export.layout import write_layout

pytestmark = pytest.mark.peer
NAMES = ("docker.io/library/app:1",)
HERE = os.path.dirname(os.path.abspath(__file__))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ocidiff():
    """The comparing program of the workshop, where this checkout has one beside it."""
    path = os.environ.get("JETTISON_OCIDIFF") or os.path.join(HERE, "..", "..", "..", "shared", "tools", "ocidiff")
    if not os.path.exists(path):
        pytest.skip("JETTISON_OCIDIFF names no program")
    return path


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_skopeo_reads_a_layout(tmp_path, compression):
    image = image_of(str(tmp_path / "blobs"), compression)
    write_layout([image], NAMES, str(tmp_path / "dir"), as_tar=False)
    write_layout([image], NAMES, str(tmp_path / "a.tar"))
    for source in (f"oci:{tmp_path}/dir:1", f"oci-archive:{tmp_path}/a.tar:1"):
        told = json.loads(run("skopeo", "inspect", source))
        assert told["Digest"] == digest_of(image.manifest)
        assert told["Layers"] == [layer.descriptor.digest for layer in image.layers]
    run("skopeo", "--insecure-policy", "copy", "-q", f"oci:{tmp_path}/dir:1", f"dir:{tmp_path}/copied")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_skopeo_reads_a_docker_archive(tmp_path, compression):
    image = image_of(str(tmp_path / "blobs"), compression)
    write_docker_archive([image], NAMES, str(tmp_path / "a.tar"))
    config = json.loads(
        run("skopeo", "inspect", "--config", f"docker-archive:{tmp_path}/a.tar:docker.io/library/app:1")
    )
    assert config["rootfs"] == json.loads(image.config)["rootfs"]
    source, target = f"docker-archive:{tmp_path}/a.tar", f"oci:{tmp_path}/copied:1"
    run("skopeo", "--insecure-policy", "copy", "-q", source, target)
    write_layout([image], NAMES, str(tmp_path / "dir"), as_tar=False)
    run(sys.executable, ocidiff(), str(tmp_path / "copied"), str(tmp_path / "dir"))


def test_umoci_unpacks_a_layout(tmp_path):
    image = image_of(str(tmp_path / "blobs"))
    write_layout([image], NAMES, str(tmp_path / "dir"), as_tar=False)
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    run("umoci", "unpack", *rootless, "--image", f"{tmp_path}/dir:1", str(tmp_path / "bundle"))
    root = tmp_path / "bundle" / "rootfs"
    assert sorted(os.listdir(root)) == ["bin", "home"]
    assert sorted(os.listdir(root / "home")) == ["a", "b", "größe"]
    assert (root / "bin" / "tool").stat().st_mode & 0o7777 == 0o4755
    assert os.path.samefile(root / "home" / "a", root / "home" / "b")
    if os.geteuid() == 0:
        assert (root / "home" / "größe").stat().st_uid == 1000
    shutil.rmtree(tmp_path / "bundle")


def test_the_two_exports_are_the_same_image(tmp_path):
    image = image_of(str(tmp_path / "blobs"))
    write_layout([image], NAMES, str(tmp_path / "a.tar"))
    write_docker_archive([image], NAMES, str(tmp_path / "b.tar"))
    run(sys.executable, ocidiff(), str(tmp_path / "a.tar"), str(tmp_path / "b.tar"))
