"""The assembled bases: reproducible, labelled as stand-ins, and carrying what a build behind a proxy needs."""

import os

import pytest

import images
from bases import assemble, machine, recipes
from bases.layout import Image, Layer


def test_busybox_is_assembled_alike_twice(tmp_path: str) -> None:
    made = []
    for number in ("one", "two"):
        image = Image(os.path.join(tmp_path, number), machine.architecture())
        image.finish("busybox", recipes.busybox(image))
        made.append(images.read(image.directory))
    assert made[0] == made[1]


def test_busybox_has_what_a_build_needs() -> None:
    image = images.read(assemble.base("busybox"))
    tree = image.tree()
    assert tree["tmp"]["mode"] == "1777"
    assert tree["bin/sh"]["link"] == "busybox"
    assert image.file("etc/ssl/certs/ca-certificates.crt") == machine.certificates()
    assert b"nobody:x:65534:" in image.file("etc/passwd")
    assert image.settings()["Labels"]["jettison.stand-in"] == "true"


def test_a_hard_link_whose_file_sorts_after_it_is_written_once(tmp_path: str) -> None:
    layer = Layer("links")
    layer.file("z", "shared")
    for name in ("a", "zz"):
        info = layer.entries["z"][0]
        link = type(info)(name)
        link.type, link.linkname = b"1", "z"
        layer.add(link)
    image = Image(os.path.join(tmp_path, "layout"), machine.architecture())
    image.layer(layer)
    image.finish("links", {})
    tree = images.read(image.directory).tree()
    assert tree["a"] is tree["z"] is tree["zz"]


def test_sources_of_both_formats_are_read() -> None:
    text = "Types: deb\nURIs: http://a.example/debian\nSuites: stable stable-updates\nComponents: main contrib\n"
    off = "Types: deb\nURIs: http://b.example/\nSuites: stable\nComponents: main\nEnabled: no\n"
    assert machine._deb822(text + "\n" + off) == [
        "deb http://a.example/debian stable main contrib",
        "deb http://a.example/debian stable-updates main contrib",
    ]


@pytest.mark.network
def test_node_bases_have_the_same_node_and_user() -> None:
    found = [images.read(assemble.base(name)) for name in ("node:14.4.0", "node:14.4.0-alpine")]
    programs = {image.tree()["usr/local/bin/node"]["digest"] for image in found}
    assert len(programs) == 1
    for image in found:
        assert b"node:x:1000:1000:" in image.file("etc/passwd")
        assert image.tree()["home/node"]["uid"] == 1000
        assert image.settings()["Env"]["NODE_EXTRA_CA_CERTS"] == machine.BUNDLE
