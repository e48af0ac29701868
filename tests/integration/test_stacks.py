"""Bases of several layers that a RUN needs: unpacked at the same time, each as if those below it had been there."""

import os
import stat

import pytest

from bases import recipes
from bases.layout import Image, Layer
from bases.machine import architecture
from project import Project, project

__all__ = ["project"]
pytestmark = pytest.mark.root
COUNT = 10  # more than are unpacked at once
WRONG = "sha256:" + "1" * 64


def layer(number: int) -> Layer:
    """The lowest one has busybox and a directory; the others put a file into that and say nothing of it."""
    made = Layer(f"layer {number}")
    if number == 0:
        recipes._busybox_tree(made)
        made.directory("opt/deep", 0o1750, owner=3)
    made.file(f"opt/deep/{number}", os.urandom(200_000 if number == 0 else 100))
    for parent in ("opt", "opt/deep") if number else ():
        made.entries.pop(parent, None)
    return made


def stack(folder: str, layers: list[Layer], wrong: int | None = None) -> str:
    """An image of these layers as a build context. `wrong`: the one of which its config says another sum."""
    image = Image(folder, architecture())
    for each in layers:
        image.layer(each)
    if wrong is not None:
        image.diff_ids[wrong] = WRONG
    image.finish("stack", {"Env": ["PATH=/bin"]})
    return f"oci-layout://{folder}"


def snapshots(project: Project) -> dict[str, str]:
    folder = os.path.join(project.store, "store", "snapshots")
    return {name: os.path.join(folder, name) for name in os.listdir(folder) if name.startswith("sha256-")}


def test_a_directory_taken_for_granted_is_as_below(project: Project, tmp_path) -> None:
    base = stack(str(tmp_path / "stack"), [layer(number) for number in range(COUNT)])
    project.files(Dockerfile="FROM base\nRUN stat -c '%a %u' /opt/deep > /seen; ls /opt/deep >> /seen\n")
    image = project.image(f"--build-context=base={base}")
    assert image.file("seen") == b"1750 3\n" + b"".join(b"%d\n" % number for number in range(COUNT))
    made = [os.path.join(path, "files", "opt", "deep") for path in snapshots(project).values()]
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in made] == [0o1750] * COUNT


@pytest.mark.parametrize("wrong", [0, 2, COUNT - 1])
def test_a_layer_that_cannot_be_had_is_the_one_that_is_told(project: Project, tmp_path, wrong: int) -> None:
    layers = [layer(number) for number in range(COUNT)]
    base = stack(str(tmp_path / "wrong"), layers, wrong)
    project.files(Dockerfile="FROM base\nRUN true\n")
    for _ in range(2):
        outcome = project.build("--tag=app", f"--build-context=base={base}")
        assert outcome.code != 0
        assert f"layer {WRONG}" in outcome.stderr
        assert "stands on" not in outcome.stderr
        assert len(snapshots(project)) <= wrong
    good = stack(str(tmp_path / "good"), layers)
    project.build("--tag=app", f"--build-context=base={good}").ok()
    assert len(snapshots(project)) == COUNT


def test_stacks_of_the_same_layers_in_another_order_do_not_wait_for_each_other(project: Project, tmp_path) -> None:
    layers = [layer(number) for number in range(COUNT)]
    one, other = stack(str(tmp_path / "one"), layers), stack(str(tmp_path / "other"), layers[::-1])
    project.files(
        Dockerfile="""\
FROM one AS first
RUN ls /opt/deep > /seen

FROM other
RUN ls /opt/deep > /seen
COPY --from=first /seen /first
"""
    )
    image = project.image(f"--build-context=one={one}", f"--build-context=other={other}")
    assert image.file("seen") == image.file("first")
