"""`du`, `prune` and the bound on real builds: what goes, what stays, and that builds go on well meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from bases.layout import Image, Layer
from jettison.app.images import Images
from jettison.app.materials import Materials
from jettison.app.session import Session
from jettison.oci.platform import format_platform, host_platform
from jettison.store import sweep
from project import Project, project
from somebody import Somebody, somebody
from users import ordinary_user

__all__ = ["ordinary_user", "project", "somebody"]

APP = """FROM busybox AS build
COPY a.txt /a
RUN --mount=type=cache,target=/c cat /a > /b; echo kept > /c/kept
FROM busybox
COPY --from=build /b /b
RUN echo last > /last
"""


@pytest.fixture
def app(project: Project) -> Project:
    """A project whose image is called app."""
    project.base().files(Dockerfile=APP, a__txt="a\n").build("--tag=app").ok()
    return project


def used(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.jettison("du", "--format=json").ok().stdout)
    return found


def kinds(use: dict[str, Any]) -> dict[str, Any]:
    return {kind["kind"]: kind for kind in use["kinds"]}


def on_disk(project: Project) -> int:
    done = subprocess.run(
        ["du", "-s", "--block-size=1", f"{project.store}/store"], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[0])


def ran(project: Project, *flags: str) -> list[str]:
    """The steps that a build of the project ran."""
    steps = project.record(*flags)["steps"]
    return [step["display"].partition("] ")[2] for step in steps if step["verdict"] == "ran"]


def test_what_du_tells_is_what_lies_there(app: Project) -> None:
    app.write("Dockerfile", APP + "COPY --from=build / /all\nRUN ln /all/b /linked; truncate -s 30M /sparse\n")
    app.build("--tag=app").ok()
    use = used(app)
    assert abs(use["total_bytes"] - on_disk(app)) < 200_000  # the directories that hold each kind, and lock files
    assert use["total_bytes"] == sum(kind["size_bytes"] for kind in use["kinds"])
    assert use["in_use_bytes"] == 0
    assert [image["name"] for image in use["images"]] == ["app:latest"]
    assert [mount["id"] for mount in use["cache_mounts"]] == ["/c"]
    before, said = on_disk(app), app.jettison("prune", "--force").ok().stdout
    assert abs(before - on_disk(app) - use["reclaimable_bytes"]) < 100_000
    assert said.startswith("removed ")
    assert said.splitlines()[-1].startswith("Total:  ")
    assert used(app)["reclaimable_bytes"] == 0


def test_after_prune_a_tagged_image_builds_from_the_cache_and_is_whole(app: Project) -> None:
    first = app.image()
    app.jettison("prune", "-f").ok()
    assert ran(app) == []
    assert app.image().config == first.config
    assert app.image().file("b") == b"a\n"
    app.write("a.txt", "changed\n")
    assert ran(app)[0] == "COPY a.txt /a"


def test_all_takes_everything(app: Project) -> None:
    app.jettison("prune", "--all", "--force").ok()
    assert app.jettison("images", "--quiet").ok().stdout == ""
    assert app.jettison("history").ok().stdout.count("\n") == 1
    left = kinds(used(app))
    assert {name for name in left if left[name]["size_bytes"]} == {"other"}
    assert len(ran(app)) == 5


def test_prune_asks(app: Project) -> None:
    refused = app.jettison("prune")
    assert refused.code == 2
    assert "hint: add --force" in refused.stderr
    assert app.jettison("prune", "--filter=until=1h", "-f").ok().stdout == "Total:  0 B\n"
    assert ran(app) == []


def base_of_four(directory: str) -> str:
    """A base of four layers: more than what its name alone holds of it."""
    made = Image(directory, host_platform().architecture)
    for number in range(4):
        layer = Layer(f"layer {number}")
        layer.file(f"file{number}", f"{number}" * 1000)
        made.layer(layer)
    made.finish("four", {})
    return directory


@pytest.mark.parametrize("flags", [(), ("--pull",)])
def test_a_base_is_had_again_after_its_layers_went_and_its_name_stayed(
    project: Project, flags: tuple[str, ...]
) -> None:
    project.bases["four"] = base_of_four(f"{project.folder}/four")
    project.files(Dockerfile="FROM four\nCOPY a.txt /a\n", a__txt="a\n")
    first = project.image()
    size = kinds(used(project))
    project.jettison("prune", "--force", f"--keep-storage={size['blobs']['size_bytes']}").ok()
    assert project.image(*flags).config["rootfs"] == first.config["rootfs"]


def test_a_base_that_a_build_has_found_is_there_when_it_needs_its_bytes(project: Project) -> None:
    ref = "oci-layout://" + base_of_four(f"{project.folder}/four")
    platform = format_platform(host_platform())
    for _ in range(2):  # first it is new, then remembered
        with Session.open(project.store) as session:
            images = Images(session)
            base = images.find(ref, platform)
            with Session.open(project.store) as other:
                sweep.prune(other.store, other.remove, other.sizes, all_=True)
            assert len(Materials(session, lambda _: None).blobs(base.layers)) == 4


def test_a_keeper_that_rests_takes_rubbish_with_it_and_another_one_may_be_asked(project: Project) -> None:
    with Session.open(project.store) as session:
        with session.store.scratch() as directory:
            os.mkdir(os.path.join(directory, "left"))
        session.keeper()
        session.rest()
        assert not os.path.exists(directory)
        tier = session.tier()
        assert tier
        assert session.sizes((project.store,)) > (0,)
        assert session.tier() == tier
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_only_cache_mounts_may_go(app: Project) -> None:
    said = app.jettison("prune", "-f", "--filter=type=exec.cachemount").ok().stdout
    assert "removed cache mount /c" in said
    assert said.count("removed ") == 1
    assert ran(app) == []


def test_the_longest_unused_goes_first(project: Project) -> None:
    project.base()
    for name in ("old", "new"):
        project.write("Dockerfile", f"FROM busybox\nRUN head -c 3000000 /dev/urandom > /{name}\n")
        project.build().ok()
        index = f"{project.store}/store/index.sqlite"
        subprocess.run([sys.executable, "-c", _AGE, index], check=True)  # an hour passes
    project.jettison("prune", "-f", "--keep-storage=7MB").ok()
    assert ran(project) == []
    project.write("Dockerfile", "FROM busybox\nRUN head -c 3000000 /dev/urandom > /old\n")
    assert ran(project) == ["RUN head -c 3000000 /dev/urandom > /old"]


_AGE = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    db.execute("UPDATE results SET used_s = used_s - 3600")
    db.execute("UPDATE names SET created_s = created_s - 3600")
"""


def test_a_store_is_kept_below_its_bound(project: Project) -> None:
    project.base()
    bound = {"JETTISON_STORE_BOUND": "8MB"}
    warned = []
    for number in range(3):
        project.write("Dockerfile", f"FROM busybox\nRUN head -c 3000000 /dev/urandom > /{number}\n")
        os.makedirs(f"{project.store}/store", exist_ok=True)
        with open(f"{project.store}/store/measured", "w", encoding="ascii") as file:
            file.write('{"cache_bytes":0,"free_bytes":0,"at_s":0}')  # long ago
        warned.append("the store outgrew its bound" in project.build(variables=bound).ok().stderr)
        assert kinds(used(project))["build snapshots"]["size_bytes"] < 8_000_000
    assert warned == [False, True, True]
    assert "JETTISON_STORE_BOUND" in project.build(variables={"JETTISON_STORE_BOUND": "x"}).stderr


def start(project: Project, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*project.program, *words],
        cwd=project.context,
        env=project.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_build_goes_on_while_everything_is_pruned(app: Project) -> None:
    """The build waits in a step for a file that is made when three prunes at once have ended."""
    app.write(
        "Dockerfile",
        APP + "RUN --mount=type=cache,target=/c echo started; until test -e /c/go; do sleep 0.05; done; \\\n"
        "    cat /b /c/kept > /all\n",
    )
    named = [f"--build-context={name}=oci-layout://{layout}" for name, layout in app.bases.items()]
    build = start(app, "build", "--progress=plain", "--tag=late", *named, app.context)
    assert build.stderr is not None
    try:
        assert any(line.endswith(" started\n") for line in iter(build.stderr.readline, ""))
        during = used(app)
        assert during["in_use_bytes"] > 0
        assert during["cache_mounts"][0]["in_use"]
        for prune in [start(app, "prune", "--all", "--force") for _ in range(3)]:
            _, told = prune.communicate(timeout=60)
            assert prune.returncode == 0, told
        mount = os.path.join(app.store, "store/caches", during["cache_mounts"][0]["directory"])
        assert sorted(os.listdir(mount)) == ["kept"]
        with open(os.path.join(mount, "go"), "w", encoding="ascii"):
            pass
        _, said = build.communicate(timeout=60)
        assert build.returncode == 0, said
    finally:
        build.kill()
    assert app.image().file("all") == b"a\nkept\n"


@pytest.mark.parametrize("after_s", [0.12, 0.25, 0.4])
def test_a_prune_killed_at_any_moment_leaves_a_good_store(app: Project, after_s: float) -> None:
    prune = start(app, "prune", "--all", "--force")
    try:
        prune.wait(after_s)
    except subprocess.TimeoutExpired:
        prune.send_signal(signal.SIGKILL)
    prune.communicate()
    assert app.image().file("b") == b"a\n"
    app.jettison("prune", "--all", "--force").ok()
    assert os.listdir(f"{app.store}/store/tmp") == []
    assert os.listdir(f"{app.store}/store/snapshots") == []


def test_anybodys_store_is_measured_and_pruned(somebody: Somebody) -> None:
    somebody.dockerfile(
        "RUN mkdir -m 700 /private && echo x > /private/file && chown -R 12:34 /private",
        "RUN --mount=type=cache,target=/c,uid=12,mode=0700 mkdir -m 0 /c/closed",
    )
    built = somebody.project
    built.build("--tag=app").ok()
    somebody.dockerfile("RUN mkdir -m 700 /other && chown 12:34 /other")
    built.build().ok()
    use = used(built)
    assert use["reclaimable_bytes"] > 0
    if os.geteuid() == 0:  # else du may not enter what belongs to another id of the user's range
        assert abs(use["total_bytes"] - on_disk(built)) < 200_000
    built.jettison("prune", "--force").ok()
    assert used(built)["cache_mounts"] == []
    assert used(built)["reclaimable_bytes"] == 0
    built.jettison("prune", "--all", "--force").ok()
    assert os.listdir(f"{built.store}/store/snapshots") == []
    assert os.listdir(f"{built.store}/store/tmp") == []
