"""Flags of `jettison build` as values, and what is said of wrong ones."""

import pytest

from jettison.app.request import OutputSpec, Secret, SshAgent
from jettison.base.errors import UsageError
from jettison.cli import build_flags as flags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out", OutputSpec(type="local", dest="out")),
        ("-", OutputSpec(type="tar", dest="-")),
        ("type=oci,dest=a.tar", OutputSpec(type="oci", dest="a.tar")),
        ("type=oci,dest=d,tar=false", OutputSpec(type="oci", dest="d", as_tar=False)),
        ('type=oci,"dest=a,b.tar"', OutputSpec(type="oci", dest="a,b.tar")),
        ("type=docker,dest=-,name=app", OutputSpec(type="docker", dest="-", names=("app",))),
        ("type=oci,dest=a,compression=zstd,oci-mediatypes=true", OutputSpec(type="oci", dest="a", compression="zstd")),
        ("type=image,rewrite-timestamp=true", OutputSpec(type="image", rewrite_timestamp=True)),
        ("type=cacheonly", OutputSpec(type="cacheonly")),
    ],
)
def test_outputs(text, expected):
    assert flags.output(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type=tarball,dest=x", "type=tarball is not one of: oci"),
        ("dest=x", "a type is missing"),
        ("type=local", "needs dest=DIRECTORY"),
        ("type=local,dest=-", "needs dest=DIRECTORY"),
        ("", "needs dest=DIRECTORY"),
        ("type=oci,tar=false", "needs dest=DIRECTORY"),
        ("type=oci,dest=x,tar=perhaps", "true or false"),
        ("type=oci,dest=x,colour=red", "unknown key 'colour'"),
        ("type=registry,name=x", "not built yet"),
        ("type=image,push=true", "not built yet"),
        ("type=oci,compression=lz4", "compression=lz4 is not one of"),
        ("type=oci,dest", "'dest' is not key=value"),
    ],
)
def test_wrong_outputs(text, said):
    with pytest.raises(UsageError, match=said):
        flags.output(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=a,src=f", Secret(id="a", src="f")),
        ("id=a,source=f,type=file", Secret(id="a", src="f")),
        ("id=a,env=B", Secret(id="a", env="B")),
        ("id=a,type=env,src=B", Secret(id="a", env="B")),
        ("id=JETTISON_TEST_SECRET", Secret(id="JETTISON_TEST_SECRET", env="JETTISON_TEST_SECRET")),
        ("id=nosuchvariable", Secret(id="nosuchvariable", src="nosuchvariable")),
        ("src=f", Secret(id="f", src="f")),
        ("id=a,src=f,rebuild=true", Secret(id="a", src="f", rebuild=True)),
        (
            "id=JETTISON_TEST_SECRET,rebuild=1",
            Secret(id="JETTISON_TEST_SECRET", env="JETTISON_TEST_SECRET", rebuild=True),
        ),
        ("id=a,env=B,rebuild=false", Secret(id="a", env="B")),
    ],
)
def test_secrets(text, expected, monkeypatch):
    monkeypatch.setenv("JETTISON_TEST_SECRET", "x")
    assert flags.secret(text) == expected


@pytest.mark.parametrize("text", ["id=a,colour=red", "type=file", "id=a,type=other", "id=a,rebuild=perhaps"])
def test_wrong_secrets(text):
    with pytest.raises(UsageError, match="--secret"):
        flags.secret(text)


def test_ssh():
    assert flags.ssh("default") == SshAgent(id="default")
    assert flags.ssh("k=/run/agent") == SshAgent(id="k", paths=("/run/agent",))
    assert flags.ssh("k=a,~/b") == SshAgent(id="k", paths=("a", "~/b"))


def test_build_args():
    assert flags.build_arg("A=b=c") == ("A", "b=c")
    assert flags.build_arg("A=") == ("A", "")
    assert flags.build_arg("A") == ("A", None)
    with pytest.raises(UsageError):
        flags.build_arg("=x")


@pytest.mark.parametrize(
    ("text", "count"), [("64m", 64 << 20), ("1G", 1 << 30), ("512", 512), ("10kb", 10240), ("7b", 7)]
)
def test_sizes(text, count):
    assert flags.size_bytes(text, "--shm-size") == count


@pytest.mark.parametrize("text", ["", "m", "1.5g", "-1", "10x"])
def test_wrong_sizes(text):
    with pytest.raises(UsageError, match="not a size"):
        flags.size_bytes(text, "--shm-size")
