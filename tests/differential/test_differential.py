"""Every case built by jettison: the config and the tree that buildah made, or BuildKit's where the two differ."""

import datetime as dt
import os
import subprocess
import sys
import zlib

import pytest

import images
import peers
from differential import harness
from project import Project
from users import User

CASES = harness.names()
WHICH = os.environ.get("JETTISON_DIFFERENTIAL", "tenth")  # tenth, all or none: what buildah builds afresh


def is_due(name: str) -> bool:
    """Whether buildah builds this case afresh today: each case has its turn once in ten days."""
    day = dt.datetime.now(tz=dt.UTC).timetuple().tm_yday
    return WHICH == "all" or (WHICH == "tenth" and zlib.crc32(name.encode()) % 10 == day % 10)


def build(case: harness.Case, builder: Project, folder: str) -> str:
    """The case built by jettison, as the path of an OCI archive."""
    context = harness.lay_out(case, os.path.join(folder, "context"))
    out = os.path.join(folder, "ours.tar")
    builder.build(f"--output=type=oci,dest={out}", *case.flags_in(context), context=context).ok()
    return out


def assert_alike(expected: images.Tree, actual: images.Tree) -> None:
    found = images.differences(expected, actual)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CASES)
def test_image_is_what_the_record_says(name: str, builder: Project, base: harness.Base, tmp_path: str) -> None:
    case = harness.case(name)
    out = build(case, builder, str(tmp_path))
    config, tree = harness.comparable(out, base, harness.over(case))
    expected_config, expected_tree = harness.expected(case, base)
    assert config == expected_config
    assert_alike(expected_tree, tree)


@pytest.mark.root
@pytest.mark.rootless
@pytest.mark.parametrize("name", CASES)
def test_image_is_the_same_for_an_ordinary_user(
    name: str, rootless_builder: Project, ordinary_user: User, base: harness.Base
) -> None:
    case = harness.case(name)
    folder = os.path.join(rootless_builder.folder, "cases", name)
    context, out = harness.lay_out(case, os.path.join(folder, "context")), os.path.join(folder, "ours.tar")
    ordinary_user.own(os.path.dirname(folder))
    rootless_builder.build(f"--output=type=oci,dest={out}", *case.flags_in(context), context=context).ok()
    config, tree = harness.comparable(out, base, harness.over(case))
    expected_config, expected_tree = harness.expected(case, base)
    assert config == expected_config
    assert_alike(expected_tree, tree)


@pytest.mark.parametrize("name", CASES)
def test_record_belongs_to_its_case(name: str, base: harness.Base) -> None:
    case = harness.case(name)
    record = case.data("record.json")
    assert record, f"tests/differential/record {name}"
    assert record["key"] == harness.key(case, record["peer"], base), (
        f"the case changed: tests/differential/record {name}"
    )


@pytest.mark.parametrize("name", [name for name in CASES if harness.case(name).data("differs.json")])
def test_difference_from_the_peer_has_a_reason_and_is_real(name: str) -> None:
    case = harness.case(name)
    differs, record = case.data("differs.json"), case.data("record.json")
    assert differs["reason"].startswith("§")
    for part, found in differs["expect"].items():
        if part != "over":
            assert any(record.get(part, {}).get(key) != value for key, value in found.items()), (
                f"{part} says nothing new"
            )


@pytest.mark.peer
@pytest.mark.root
@pytest.mark.parametrize("name", [name for name in CASES if is_due(name)])
def test_fresh_build_of_the_peer(
    name: str, builder: Project, buildah: peers.Buildah, base: harness.Base, tmp_path: str
) -> None:
    case = harness.case(name)
    record = case.data("record.json")
    if record["peer"] != f"buildah {buildah.version()}":
        pytest.skip(f"the record is of {record['peer']}")
    context = harness.lay_out(case, os.path.join(tmp_path, "theirs"))
    theirs = os.path.join(tmp_path, "theirs.tar")
    if "failed" in record:
        with pytest.raises(peers.PeerError):
            buildah.build(context, theirs, case.flags_in(context))
        return
    buildah.build(context, theirs, case.flags_in(context))
    found = harness.record_of(case, theirs, base)
    assert found == {key: record[key] for key in found}
    if not case.data("differs.json") and harness.ocidiff():
        _compare_by_ocidiff(theirs, build(case, builder, str(tmp_path)))


def _compare_by_ocidiff(theirs: str, ours: str) -> None:
    """The judge that this project did not write; it does not know of the mount points that buildah leaves."""
    made_by_case = images.read(ours).tree()
    ignored = [f"--ignore={path}" for path in harness.traces() if path not in made_by_case]
    done = subprocess.run(
        [sys.executable, str(harness.ocidiff()), "--ignore-mtime", *ignored, theirs, ours],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
