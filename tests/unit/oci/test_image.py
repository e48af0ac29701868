"""oci.image and oci.parse: what is written is read back; history and layers agree; what is received is judged."""

import json

import msgspec
import pytest

from jettison.base.digest import digest_of
from jettison.base.errors import InputError
from jettison.oci import documents as doc
from jettison.oci import image, parse

EPOCH = "1970-01-01T00:00:00Z"
NOW = "2024-05-06T07:08:09Z"
BASE_DIFF, NEW_DIFF = "sha256:" + "1" * 64, "sha256:" + "2" * 64
BASE = doc.ImageConfig(
    architecture="amd64",
    os="linux",
    created=EPOCH,
    config=doc.RuntimeConfig(env=("PATH=/bin",), cmd=("sh",), labels={"b": "2", "a": "1"}),
    rootfs=doc.RootFS(diff_ids=(BASE_DIFF,)),
    history=(doc.HistoryEntry(created=EPOCH, created_by="base"),),
)
FACTS = image.LayerFacts(
    diff_id=NEW_DIFF, descriptor=doc.Descriptor(media_type=doc.LAYER_GZIP, digest="sha256:" + "3" * 64, size=7)
)


def entry(text, **more):
    return doc.HistoryEntry(created=NOW, created_by=text, comment="buildkit.dockerfile.v0", **more)


def test_a_config_has_one_form():
    made = image.assemble(BASE, [(entry("RUN x"), FACTS), (entry("CMD y"), None)], created=NOW)
    assert made.config == (
        b'{"architecture":"amd64","config":{"Env":["PATH=/bin"],"Cmd":["sh"],"Labels":{"a":"1","b":"2"}},'
        b'"created":"2024-05-06T07:08:09Z","history":[{"created":"1970-01-01T00:00:00Z","created_by":"base"},'
        b'{"created":"2024-05-06T07:08:09Z","created_by":"RUN x","comment":"buildkit.dockerfile.v0"},'
        b'{"created":"2024-05-06T07:08:09Z","created_by":"CMD y","comment":"buildkit.dockerfile.v0",'
        b'"empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":["' + BASE_DIFF.encode() + b'","'
        b"" + NEW_DIFF.encode() + b'"]}}'
    )
    assert made.digest == digest_of(made.config)
    assert parse.parse_config(made.config) == made.document


def test_an_empty_cmd_or_entrypoint_is_left_out():
    config = msgspec.structs.replace(BASE, config=doc.RuntimeConfig(cmd=(), entrypoint=()))
    assert json.loads(image.config_bytes(config))["config"] == {}


def test_a_step_without_a_layer_is_marked_and_adds_no_diff_id():
    made = image.assemble(BASE, [(entry("RUN true"), None)], created=NOW).document
    assert made.history[-1].empty_layer
    assert made.rootfs.diff_ids == (BASE_DIFF,)


def test_missing_history_is_appended_as_the_exporter_does():
    base = msgspec.structs.replace(BASE, history=())
    history = image.assemble(base, [(entry("RUN x"), FACTS)], created=NOW).document.history
    assert [(item.created_by, item.comment, item.empty_layer, item.created) for item in history] == [
        ("RUN x", "buildkit.dockerfile.v0", False, NOW),
        ("", "buildkit.exporter.image.v0", False, NOW),
    ]


def test_surplus_history_is_marked_empty():
    base = msgspec.structs.replace(BASE, history=(entry("a"), entry("b"), entry("c", empty_layer=True)))
    history = image.assemble(base, [], created=NOW).document.history
    assert [item.empty_layer for item in history] == [False, True, True]


def untimed(text):
    return doc.HistoryEntry(created_by=text)


@pytest.mark.parametrize(
    ("old", "new", "times"),
    [
        ([EPOCH], [(untimed("ENV"), None), (untimed("RUN"), FACTS), (untimed("CMD"), None)], [EPOCH, NOW, NOW, NOW]),
        ([EPOCH], [(untimed("ENV"), None)], [EPOCH, EPOCH]),
        ([None], [(entry("RUN x"), FACTS)], [NOW, NOW]),
        ([None], [(untimed("ENV"), None)], [None, None]),
    ],
)
def test_entries_without_a_time_get_one(old, new, times):
    history = tuple(doc.HistoryEntry(created=created, created_by="base") for created in old)
    base = msgspec.structs.replace(BASE, history=history)
    assert [item.created for item in image.assemble(base, new, created=NOW).document.history] == times


def test_members_that_we_do_not_know_are_inherited():
    raw = b'{"architecture":"a","os":"l","config":{"Cmd":["x"],"Memory":5,"Image":"sha256:0","Zeta":null}}'
    kept = parse.unknown_members(raw)
    assert kept == {"Memory": 5}
    made = image.assemble(parse.parse_config(raw), [], created=NOW, kept=kept)
    assert json.loads(made.config)["config"] == {"Cmd": ["x"], "Memory": 5}


@pytest.mark.parametrize("docker", [False, True])
def test_a_manifest_has_types_of_one_family(docker):
    config = image.config_bytes(BASE)
    other = doc.Descriptor(media_type=doc.DOCKER_LAYER_GZIP, digest=BASE_DIFF, size=1)
    data = image.manifest_bytes(config, [other, FACTS.descriptor], docker=docker, annotations={"k": "v"})
    manifest = parse.parse_image(data)
    assert isinstance(manifest, doc.Manifest)
    assert (manifest.schema_version, manifest.media_type) == (2, doc.DOCKER_MANIFEST if docker else doc.MANIFEST)
    assert manifest.config.digest == digest_of(config)
    wanted = doc.DOCKER_LAYER_GZIP if docker else doc.LAYER_GZIP
    assert [layer.media_type for layer in manifest.layers] == [wanted, wanted]
    assert manifest.annotations == ({} if docker else {"k": "v"})
    assert image.manifest_descriptor(data).media_type == manifest.media_type


def test_an_index_is_read_back():
    manifest = image.manifest_bytes(image.config_bytes(BASE), [])
    descriptor = image.manifest_descriptor(manifest, platform=image.platform_of(BASE), annotations={"a": "b"})
    index = parse.parse_image(image.index_bytes([descriptor]), doc.INDEX)
    assert isinstance(index, doc.Index)
    assert index.manifests == (descriptor,)


def test_nulls_are_missing_members():
    raw = (
        b'{"architecture":"amd64","os":"linux","config":{"Cmd":null,"Labels":null,"Env":["A=b"],"OnBuild":null},'
        b'"history":null,"rootfs":{"type":"layers","diff_ids":null},"container_config":{"Hostname":"x"}}'
    )
    assert parse.parse_config(raw).config == doc.RuntimeConfig(env=("A=b",))


HOSTILE = {
    "no JSON": (b"{", "not JSON"),
    "deep": (b'{"config":' + b"[" * 100_000, "not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "schema 1": (b'{"schemaVersion":1,"fsLayers":[]}', "schema 1"),
    "no digest": (b'{"config":{"mediaType":"m","digest":"sha256:../x","size":1},"layers":[]}', "not a sha256 digest"),
    "a size below zero": (
        b'{"config":{"mediaType":"m","digest":"sha256:' + b"0" * 64 + b'","size":-1},"layers":[]}',
        "no size of a blob",
    ),
    "text for a size": (b'{"config":{"mediaType":"m","digest":"d","size":"1"},"layers":[]}', "size"),
    "both": (b'{"manifests":[],"layers":[]}', "both an index and a manifest"),
    "too large": (b" " * (parse.MAX_DOCUMENT_BYTES + 1), "too many"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_wrong_is_an_input_error(case):
    data, message = HOSTILE[case]
    with pytest.raises(InputError, match=message):
        parse.parse_image(data, what="the manifest of x")


def test_a_document_of_another_kind_than_it_was_served_as_is_refused():
    data = image.index_bytes([])
    with pytest.raises(InputError, match="served as"):
        parse.parse_image(data, doc.MANIFEST)


@pytest.mark.parametrize("raw", [b"{}", b'{"architecture":"a","os":"l","rootfs":{"diff_ids":["x"]}}'])
def test_a_config_that_is_none_is_an_input_error(raw):
    with pytest.raises(InputError, match="config"):
        parse.parse_config(raw)
