"""Contexts of every form, built through the command line. Reference §1.1 and §1.10."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

import images
import platforms
from bases import assemble
from project import Outcome, Project, project
from served import Member, Page, Site, tar_of
from users import User, ordinary_user

__all__ = ["ordinary_user", "project"]

TAKE = "FROM scratch\nCOPY . /\n"


@pytest.fixture
def site(tmp_path: object) -> Iterator[Site]:
    """A server."""
    with Site(os.path.join(str(tmp_path), "served")) as served:
        yield served


def image_of(project: Project, *words: str, stdin: bytes = b"") -> images.Image:
    """Build with these words instead of the context's own, and read the image."""
    path = os.path.join(project.out, "image.tar")
    built(project, f"--output=type=oci,dest={path}", *words, stdin=stdin).ok()
    return images.read(path)


def built(project: Project, *words: str, stdin: bytes = b"") -> Outcome:
    named = [f"--build-context={name}=oci-layout://{layout}" for name, layout in project.bases.items()]
    proxies = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    return project.jettison("build", "--progress=plain", *named, *words, stdin=stdin, variables=proxies)


def names(image: images.Image) -> set[str]:
    return {path for path, node in image.tree().items() if node["type"] != "dir"}


# A directory.


def test_the_ignore_file_of_the_dockerfile_wins(project: Project) -> None:
    project.files(Dockerfile=TAKE, a="", b="", c="", __dockerignore="*\n!a\n")
    project.write("docker/app.Dockerfile", TAKE)
    project.write("docker/app.Dockerfile.dockerignore", "*\n!b\n")
    assert names(project.image()) == {"a"}
    assert names(project.image("--file=docker/app.Dockerfile")) == {"b"}
    project.write("Dockerfile.dockerignore", "# not merged\n*\n!c\n")
    assert names(project.image()) == {"c"}


def test_what_is_ignored_is_still_the_dockerfile(project: Project) -> None:
    project.files(Dockerfile=TAKE, a="", __dockerignore="Dockerfile\n.dockerignore\n")
    assert names(project.image()) == {"a"}


def test_a_dockerfile_may_be_a_symlink_or_in_lower_case(project: Project) -> None:
    project.write("docker/real", TAKE)
    os.symlink("docker/real", os.path.join(project.context, "Dockerfile"))
    assert names(project.image()) == {"Dockerfile", "docker/real"}
    os.unlink(os.path.join(project.context, "Dockerfile"))
    project.files(dockerfile=TAKE)
    assert names(project.image()) == {"dockerfile", "docker/real"}


def test_a_dockerfile_from_standard_input(project: Project) -> None:
    project.files(a="", __dockerignore=".dockerignore\n")
    assert names(image_of(project, "--file=-", project.context, stdin=TAKE.encode())) == {"a"}


def test_a_dockerfile_elsewhere(project: Project) -> None:
    project.files(a="")
    elsewhere = os.path.join(project.folder, "elsewhere.Dockerfile")
    with open(elsewhere, "w", encoding="utf-8") as file:
        file.write(TAKE)
    assert names(project.image(f"--file={elsewhere}")) == {"a"}


# Standard input.


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("press", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
def test_a_tar_on_standard_input(project: Project, press) -> None:
    sent = press(tar_of({"./Dockerfile": TAKE, ".dockerignore": "a\n", "a": "alpha", "sub/b": Member("beta", 0o600)}))
    image = image_of(project, "-", stdin=sent)
    assert names(image) == {"Dockerfile", ".dockerignore", "a", "sub/b"}
    assert image.file("a") == b"alpha"


OWNED = {"Dockerfile": TAKE, "mine": Member("m", 0o400, (1234, 5678)), "shut": Member("s", 0, (7, 7))}


def test_owners_and_modes_of_a_tar_stay(project: Project) -> None:
    tree = image_of(project, "-", stdin=tar_of(OWNED)).tree()
    assert [tree["mine"][key] for key in ("mode", "uid", "gid", "mtime")] == ["0400", 1234, 5678, 1_600_000_000]
    assert [tree["shut"][key] for key in ("mode", "uid", "size")] == ["0000", 7, 1]


@pytest.mark.root
@pytest.mark.rootless
def test_owners_and_modes_of_a_tar_stay_for_an_ordinary_user(ordinary_user: User) -> None:
    theirs = ordinary_user.project("tar-context")
    ordinary_user.base(theirs)
    run = "FROM busybox\nRUN --mount=target=/m stat -c '%u:%g %a' /m/mine /m/shut > /seen\nCOPY mine /\n"
    image = image_of(theirs, "-", stdin=tar_of({**OWNED, "Dockerfile": run}))
    assert image.file("seen") == b"1234:5678 400\n7:7 0\n"
    assert (image.tree()["mine"]["uid"], image.tree()["mine"]["mode"]) == (1234, "0400")


@pytest.mark.root
@pytest.mark.rootless
@pytest.mark.parametrize("shut", ["d", "d/a"], ids=["directory", "file"])
def test_what_an_ordinary_user_may_not_read_is_in_no_build(ordinary_user: User, shut: str) -> None:
    """Nor in the first one, which reads it as root of a namespace: else the next would fail where this one did not."""
    theirs = ordinary_user.project(f"shut-{shut.replace('/', '-')}")
    theirs.write("Dockerfile", "FROM scratch\nCOPY d /d\n")
    theirs.write("d/a", "1")
    ordinary_user.own(theirs.folder)
    os.chmod(f"{theirs.context}/{shut}", 0)
    for _ in range(2):
        refused = theirs.build()
        assert refused.code == 4
        assert f"cannot read {theirs.context}/{shut}: Permission denied" in refused.stderr
    os.chmod(f"{theirs.context}/{shut}", 0o700)
    theirs.build().ok()


def test_files_of_a_tar_are_cached_by_content(project: Project) -> None:
    dockerfile = "FROM busybox\nCOPY a /\nRUN echo ran >> /log\n"
    project.base()
    image_of(project, "-", stdin=tar_of({"Dockerfile": dockerfile, "a": "1", "b": "1"}))
    said = built(project, "-", stdin=tar_of({"Dockerfile": dockerfile, "a": "1", "b": "2"})).ok()
    assert "DONE" not in said.stderr
    said = built(project, "-", stdin=tar_of({"Dockerfile": dockerfile, "a": "2", "b": "2"})).ok()
    assert "why: a changed" in said.stderr


def test_the_dockerfile_of_a_tar(project: Project) -> None:
    other = "FROM scratch\nCOPY docker/app /it\n"
    sent = tar_of({"Dockerfile": TAKE, "docker/app": other}, links={"link": "docker/app"})
    assert names(image_of(project, "--file=docker/app", "-", stdin=sent)) == {"it"}
    assert names(image_of(project, "--file=link", "-", stdin=sent)) == {"it"}
    local = os.path.join(project.folder, "local")
    with open(local, "w", encoding="utf-8") as file:
        file.write("FROM scratch\nCOPY docker/app /local\n")
    assert names(image_of(project, f"--file={local}", "-", stdin=sent)) == {"local"}


def test_a_dockerfile_of_a_tar_never_lies_outside(project: Project) -> None:
    outside = os.path.join(project.folder, "outside")
    with open(outside, "w", encoding="utf-8") as file:
        file.write("FROM scratch\nLABEL told=secret\n")
    for target in (outside, f"../../../../../../../../../..{outside}"):
        said = built(project, "-", stdin=tar_of({"a": ""}, links={"Dockerfile": target}))
        assert said.code == 4
        assert "failed to read dockerfile: open Dockerfile: no such file or directory" in said.stderr


def test_a_dockerfile_alone_on_standard_input(project: Project) -> None:
    project.files(a="of the working directory")
    assert names(image_of(project, "-", stdin=b"FROM scratch\nCOPY <<x /x\nhere\nx\n")) == {"x"}
    said = built(project, "-", stdin=b"FROM scratch\nCOPY a /\n")
    assert said.code == 4
    assert '"/a": not found' in said.stderr
    said = built(project, "--file=Dockerfile", "-", stdin=b"FROM scratch\n")
    assert said.code == 2
    said = built(project, "--file=-", "-", stdin=b"FROM scratch\n")
    assert said.code == 2
    assert "can't use stdin for both build context and dockerfile" in said.stderr


def test_a_damaged_tar_is_told(project: Project) -> None:
    sent = gzip.compress(tar_of({"Dockerfile": TAKE, "a": "a" * 100_000}))
    said = built(project, "-", stdin=sent[:-100])
    assert said.code == 4
    assert "Traceback" not in said.stderr


# Git.


def test_a_repository(project: Project, site: Site) -> None:
    repository = site.repository("app")
    first = repository.commit({"Dockerfile": TAKE, ".dockerignore": "a\n", "a": "1", "run.sh": "#!"}, tag="v1")
    repository.commit({"a": "2"})
    repository.commit({"branch": "x"}, branch="feature")
    url = site.url("app.git")
    image = image_of(project, url)
    assert names(image) == {"Dockerfile", ".dockerignore", "a", "run.sh"}
    assert image.file("a") == b"2"
    for ref in ("v1", first, "?tag=v1", f"?ref={first}"):
        told = url + (ref if ref.startswith("?") else f"#{ref}")
        assert image_of(project, told).file("a") == b"1"
    assert "branch" in names(image_of(project, f"{url}#feature"))
    assert "branch" in names(image_of(project, f"{url}?branch=feature"))


def test_a_directory_of_a_repository(project: Project, site: Site) -> None:
    files = {"sub/Dockerfile": TAKE, "sub/x": "x", "outside": "", "sub/other/app": "FROM scratch\nCOPY x /other\n"}
    site.repository("app").commit(files)
    url = site.url("app.git")
    for told in ("#main:sub", "#:sub", "?subdir=sub", "?branch=main&subdir=sub"):
        assert names(image_of(project, url + told)) == {"Dockerfile", "x", "other/app"}
    assert names(image_of(project, "--file=other/app", f"{url}#:sub")) == {"other"}
    said = built(project, f"{url}#:none")
    assert said.code == 4
    assert "none" in said.stderr


def test_a_repository_that_is_not_there(project: Project, site: Site) -> None:
    said = built(project, site.url("none.git"))
    assert said.code in (4, 5)
    assert "none.git" in said.stderr
    site.repository("app").commit({"Dockerfile": TAKE})
    said = built(project, site.url("app.git#nosuchref"))
    assert said.code == 4
    assert "nosuchref" in said.stderr


# HTTP.


@pytest.mark.parametrize("press", [bytes, gzip.compress])
def test_a_tar_from_a_server(project: Project, site: Site, press) -> None:
    members = {"Dockerfile": TAKE, "a": Member("alpha", 0o640, (5, 6)), "docker/app": "FROM scratch\nCOPY a /it\n"}
    site.pages["ctx.tar"] = Page(press(tar_of(members)))
    image = image_of(project, site.url("ctx.tar"))
    assert names(image) == {"Dockerfile", "a", "docker/app"}
    assert [image.tree()["a"][key] for key in ("mode", "uid", "gid")] == ["0640", 5, 6]
    assert names(image_of(project, "--file=docker/app", site.url("ctx.tar"))) == {"it"}


def test_a_dockerfile_from_a_server_is_the_one_file_of_its_context(project: Project, site: Site) -> None:
    site.pages["some/Dockerfile"] = Page(b"FROM scratch\nCOPY . /\n")
    assert names(image_of(project, site.url("some/Dockerfile"))) == {"context"}
    text = b"FROM scratch\nCOPY context /given\n"
    assert names(image_of(project, "--file=-", site.url("some/Dockerfile"), stdin=text)) == {"given"}


def test_a_context_behind_a_login(project: Project, site: Site) -> None:
    site.pages["ctx.tar"] = Page(tar_of({"Dockerfile": TAKE, "a": ""}), wants="Bearer let-me-in")
    said = built(project, site.url("ctx.tar"))
    assert said.code == 5
    token = os.path.join(project.folder, "token")
    with open(token, "w", encoding="utf-8") as file:
        file.write("let-me-in")
    host = site.server.url.partition("//")[2]
    assert "a" in names(image_of(project, f"--secret=id=HTTP_AUTH_TOKEN_{host},src={token}", site.url("ctx.tar")))


# Named contexts.


def test_a_named_directory_has_its_own_ignore_file(project: Project) -> None:
    project.base().files(
        Dockerfile="FROM busybox\nCOPY --from=more . /copied\nRUN --mount=from=more,target=/m ls -A /m > /seen\n"
    )
    more = os.path.join(project.folder, "more")
    os.makedirs(more)
    for name in ("a", "b", ".dockerignore"):
        with open(os.path.join(more, name), "w", encoding="utf-8") as file:
            file.write("b\n")
    image = project.image(f"--build-context=more={more}")
    assert {name for name in names(image) if name.startswith("copied/")} == {"copied/.dockerignore", "copied/a"}
    assert image.file("seen") == b".dockerignore\na\n"


def test_a_named_context_stands_for_an_image_a_stage_or_a_copy(project: Project) -> None:
    more = os.path.join(project.folder, "more")
    os.makedirs(more)
    with open(os.path.join(more, "file"), "w", encoding="utf-8") as file:
        file.write("named")
    project.files(Dockerfile="FROM alpine\nCOPY --from=alpine file /copy\n")
    image = project.image(f"--build-context=alpine={more}")
    assert image.file("file") == image.file("copy") == b"named"
    project.files(Dockerfile="FROM nowhere AS deps\nRUN false\nFROM scratch\nCOPY --from=deps file /\n")
    assert project.image(f"--build-context=deps={more}").file("file") == b"named"
    project.files(Dockerfile="FROM nowhere AS deps\nRUN false\nFROM deps\nLABEL a=b\n")
    assert project.image(f"--build-context=deps={more}").file("file") == b"named"


def test_named_images(project: Project) -> None:
    project.base().files(Dockerfile="FROM busybox\nENV FROM_IMAGE=yes\nRUN echo x > /x\n")
    project.build("--tag=local").ok()
    project.files(Dockerfile="FROM base\nCOPY --from=local x /again\n")
    image = project.image("--build-context=base=docker-image://local")
    assert image.settings()["Env"]["FROM_IMAGE"] == "yes"
    assert image.file("again") == b"x\n"
    below = images.read(assemble.base("busybox"))
    assert image.manifest["layers"][0] == below.manifest["layers"][0]  # the base's own blob, not one packed anew


def test_scratch_as_a_named_image(project: Project) -> None:
    project.files(Dockerfile="FROM base\nCOPY a /\n", a="")
    assert names(project.image("--build-context=base=docker-image://scratch")) == {"a"}


def test_a_layout_by_tag_and_by_digest(project: Project) -> None:
    layout = assemble.base("busybox")
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        digest = images.json.load(file)["manifests"][0]["digest"]
    project.files(Dockerfile="FROM base\n")
    made = [
        project.image(f"--build-context=base=oci-layout://{layout}{name}")
        for name in ("", ":latest", f"@{digest}", f":latest@{digest}")
    ]
    assert all(image.layers == made[0].layers for image in made)
    said = project.build(f"--build-context=base=oci-layout://{layout}:none")
    assert said.code == 4
    assert "none" in said.stderr


def test_a_layout_in_the_working_directory(project: Project) -> None:
    shutil.copytree(assemble.base("busybox"), os.path.join(project.context, "layout"))
    project.files(Dockerfile="FROM base\n", __dockerignore="layout\n")
    assert "bin/sh" in names(project.image("--build-context=base=oci-layout://./layout"))
    assert "bin/sh" in names(project.image("--build-context=base=oci-layout://layout:latest"))


def test_a_named_repository(project: Project, site: Site) -> None:
    repository = site.repository("lib")
    repository.commit({"sub/a": "1", "b": ""}, tag="v1")
    project.files(Dockerfile="FROM scratch\nCOPY --from=lib . /\n")
    words = f"--build-context=lib={site.url('lib.git')}"
    assert names(project.image(words)) == {"sub/a", "b"}
    assert names(project.image(f"{words}#v1:sub")) == {"a"}
    repository.commit({"sub/a": "2"})
    assert project.image(words).file("sub/a") == b"2"
    assert "DONE" not in project.build(words).ok().stderr


def test_a_named_file_of_a_server_keeps_its_name(project: Project, site: Site) -> None:
    site.pages["some/tool.bin"] = Page(b"tool", {"ETag": '"1"'})
    site.pages[""] = Page(b"root")
    project.files(Dockerfile="FROM scratch\nCOPY --from=tool tool.bin /t\n")
    image = project.image(f"--build-context=tool={site.url('some/tool.bin')}")
    assert (image.file("t"), image.tree()["t"]["mode"]) == (b"tool", "0600")
    project.files(Dockerfile="FROM scratch\nCOPY --from=tool download /t\n")
    assert project.image(f"--build-context=tool={site.url('')}").file("t") == b"root"


def test_a_named_context_for_a_platform_is_preferred(project: Project) -> None:
    layout = platforms.labelled(os.path.join(project.folder, "both"), ("linux/amd64", "linux/arm64"))
    for name in ("plain", "arm"):
        os.makedirs(os.path.join(project.folder, name))
        with open(os.path.join(project.folder, name, "is"), "w", encoding="utf-8") as file:
            file.write(name)
    project.files(Dockerfile="FROM both\nCOPY --from=more is /\n")
    words = (
        f"--build-context=both=oci-layout://{layout}",
        f"--build-context=more={project.folder}/plain",
        f"--build-context=more::linux/arm64={project.folder}/arm",
    )
    plain = os.path.join(project.out, "files")
    project.build(*words, "--platform=linux/amd64,linux/arm64", f"--output={plain}").ok()
    for name, said in (("linux_amd64", "plain"), ("linux_arm64", "arm")):
        with open(f"{plain}/{name}/is", encoding="utf-8") as file:
            assert file.read() == said


def test_a_named_context_that_is_not_there(project: Project) -> None:
    project.files(Dockerfile="FROM scratch\nCOPY --from=more a /\n")
    said = project.build("--build-context=more=./nowhere")
    assert said.code == 4
    assert "nowhere" in said.stderr
