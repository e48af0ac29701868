"""Every case built by jettison: the config and the tree that buildah made, or BuildKit's where the two differ."""

import os

import pytest

import images
import peers
from differential import harness, records
from project import Project
from users import User

CASES = harness.names()


def build(case: harness.Case, builder: Project, folder: str) -> str:
    """The case built by jettison, as the path of an OCI archive."""
    context = harness.lay_out(case, os.path.join(folder, "context"))
    out = os.path.join(folder, "ours.tar")
    builder.build(f"--output=type=oci,dest={out}", *case.flags_in(context), context=context).ok()
    return out


def assert_as_recorded(case: harness.Case, out: str, base: records.Base) -> None:
    found = records.faults(harness.subject(case), images.read(out), base)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CASES)
def test_image_is_what_the_record_says(name: str, builder: Project, base: records.Base, tmp_path: str) -> None:
    case = harness.case(name)
    assert_as_recorded(case, build(case, builder, str(tmp_path)), base)


@pytest.mark.root
@pytest.mark.rootless
@pytest.mark.parametrize("name", CASES)
def test_image_is_the_same_for_an_ordinary_user(
    name: str, rootless_builder: Project, ordinary_user: User, base: records.Base
) -> None:
    case = harness.case(name)
    folder = os.path.join(rootless_builder.folder, "cases", name)
    context, out = harness.lay_out(case, os.path.join(folder, "context")), os.path.join(folder, "ours.tar")
    ordinary_user.own(os.path.dirname(folder))
    rootless_builder.build(f"--output=type=oci,dest={out}", *case.flags_in(context), context=context).ok()
    assert_as_recorded(case, out, base)


@pytest.mark.parametrize("name", CASES)
def test_record_belongs_to_its_case(name: str, base: records.Base) -> None:
    records.assert_belongs(harness.subject(harness.case(name)), base)


@pytest.mark.parametrize("name", [name for name in CASES if harness.case(name).data("differs.json")])
def test_difference_from_the_peer_has_a_reason_and_is_real(name: str, base: records.Base) -> None:
    records.assert_differs(harness.subject(harness.case(name)), base)


@pytest.mark.peer
@pytest.mark.root
@pytest.mark.parametrize("name", [name for name in CASES if records.is_due(name)])
def test_fresh_build_of_the_peer(
    name: str, builder: Project, buildah: peers.Buildah, base: records.Base, tmp_path: str
) -> None:
    case = harness.case(name)
    subject = harness.subject(case)
    context, theirs = harness.lay_out(case, os.path.join(tmp_path, "theirs")), os.path.join(tmp_path, "theirs.tar")
    records.assert_still_made(subject, base, theirs, lambda: buildah.build(context, theirs, case.flags_in(context)))
    if "failed" not in subject.written():
        assert not records.ocidiff(subject, theirs, build(case, builder, str(tmp_path)))
