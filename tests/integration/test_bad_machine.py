"""What the machine or a server refuses: full disks, stores that cannot be used, registries without the image.

As in test_bad_input the words are kept in tests/goldens/errors, and the store afterwards is as good as before.
"""

import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from aftermath import GOOD, assert_nothing_is_left, good_build, said
from bases.layout import Image, Layer
from fakes.servers import free_port, started
from golden import Golden
from jettison.oci.platform import host_platform
from project import Outcome, Project, project
from users import User, ordinary_user

__all__ = ["ordinary_user", "project"]

SMALL_BYTES = 24 << 20
INDEX = ("store", "index.sqlite")


@pytest.fixture
def small(tmp_path: object) -> Iterator[Project]:
    """A project whose store and output lie on a disk of 24 MiB."""
    made = Project(str(tmp_path))
    disk = os.path.join(made.folder, "disk")
    os.makedirs(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", disk], check=True)
    made.store, made.out = os.path.join(disk, "home"), os.path.join(disk, "out")
    os.makedirs(made.out)
    yield made
    subprocess.run(["umount", disk], check=True)


def build(project: Project, dockerfile: str, *flags: str) -> Outcome:
    """A quiet build of this text in the project's context."""
    project.write("Dockerfile", dockerfile)
    base = f"--build-context=busybox=oci-layout://{project.base().bases['busybox']}"
    return project.jettison("build", "--progress=quiet", base, *flags, ".")


def wrote(count: int) -> bytes:
    return os.urandom(1 << 20) * count


def fill(path: str) -> None:
    """Write a file until the disk has no room left."""
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


def check(golden: Golden, name: str, outcome: Outcome, project: Project, *hidden: str) -> None:
    text = re.sub(r"[0-9a-f]{12,}|[0-9]+-[0-9a-f]{12}", "ID", said(outcome, project, *hidden))
    golden.check(f"errors/{name}.txt", re.sub(r"tmp/[^ :]*", "tmp/ID", text))


@pytest.mark.root
def test_a_disk_that_is_full_for_copy(small: Project, golden: Golden) -> None:
    good_build(small)
    small.write("large", wrote(60))
    check(golden, "full-disk-copy", build(small, "FROM scratch\nCOPY large /\n"), small)
    assert "ran" not in good_build(small)
    assert_nothing_is_left(small)


@pytest.mark.root
def test_a_disk_that_is_full_for_run(small: Project, golden: Golden) -> None:
    good_build(small)
    text = "FROM busybox\nRUN dd if=/dev/zero of=/large bs=1M count=60 2>&1 | grep error >&2; exit 1\n"
    check(golden, "full-disk-run", build(small, text), small)
    assert "ran" not in good_build(small)
    assert_nothing_is_left(small)


@pytest.mark.root
def test_a_disk_that_is_full_for_layers_and_outputs(small: Project, golden: Golden) -> None:
    good_build(small)
    small.write("middle", wrote(12))
    archive = os.path.join(small.out, "image.tar")
    outcome = build(small, "FROM scratch\nCOPY middle /\n", f"--output=type=oci,dest={archive}")
    check(golden, "full-disk-layer", outcome, small)
    files = build(small, "FROM scratch\nCOPY middle /\n", f"--output=type=tar,dest={archive}")
    check(golden, "full-disk-output", files, small)
    assert "image.tar" not in os.listdir(small.out)
    assert "ran" not in good_build(small)
    assert_nothing_is_left(small)


@pytest.mark.root
def test_a_disk_that_is_full_for_a_base(small: Project, golden: Golden) -> None:
    good_build(small)
    layer = Layer("large")
    layer.file("large", os.urandom(30 << 20))
    made = Image(f"{small.folder}/large", host_platform().architecture)
    made.layer(layer)
    made.finish("large", {})
    text = 'FROM large\nRUN ["/large"]\n'
    check(golden, "full-disk-base", build(small, text, f"--build-context=large=oci-layout://{made.directory}"), small)
    assert "ran" not in good_build(small)
    assert_nothing_is_left(small)


@pytest.mark.root
def test_a_disk_that_is_full_from_the_start(small: Project, golden: Golden) -> None:
    good_build(small)
    filler = os.path.join(small.out, "filler")
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    outcome = build(small, GOOD.replace("good", "other").replace("COPY kept.txt /kept.txt\n", ""))
    assert outcome.code == 6
    check(golden, "full-disk", outcome, small)
    os.unlink(filler)
    assert "ran" not in good_build(small)
    assert_nothing_is_left(small)


@pytest.mark.root
def test_somebody_elses_store(project: Project, golden: Golden) -> None:
    good_build(project)
    os.chown(os.path.join(project.store, "store"), 1234, 1234)
    outcome = build(project, "FROM scratch\n")
    check(golden, "foreign-store", outcome, project)
    os.chown(os.path.join(project.store, "store"), 0, 0)
    assert "ran" not in good_build(project)


@pytest.mark.root
@pytest.mark.parametrize("made", [True, False], ids=["made", "not-made"])
def test_a_store_that_cannot_be_written(project: Project, golden: Golden, made: bool) -> None:
    if made:
        good_build(project)
    os.makedirs(project.store, exist_ok=True)
    subprocess.run(["mount", "--bind", project.store, project.store], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", project.store], check=True)
    try:
        outcome = build(project, "FROM scratch\n")
    finally:
        subprocess.run(["umount", project.store], check=True)
    check(golden, "read-only-store" if made else "read-only-home", outcome, project)


def test_a_store_that_is_a_file(project: Project, golden: Golden) -> None:
    with open(project.store, "wb"):
        pass
    check(golden, "store-is-a-file", build(project, "FROM scratch\n"), project)


def test_a_damaged_index_names_itself_and_goes_on_without(project: Project, golden: Golden) -> None:
    good_build(project)
    index = os.path.join(project.store, *INDEX)
    os.unlink(f"{index}-wal")  # which has the newest pages
    with open(index, "r+b") as file:
        file.write(b"\xa5" * 8192)
    check(golden, "damaged-index", build(project, "FROM scratch\n"), project)
    for name in ("", "-wal", "-shm"):
        if os.path.exists(index + name):
            os.unlink(index + name)
    good_build(project)
    assert "ran" not in good_build(project)


def test_a_store_of_another_version(project: Project, golden: Golden) -> None:
    good_build(project)
    version = os.path.join(project.store, "store", "version")
    for text, name in (("99\n", "newer-store"), ("?\n", "damaged-version")):
        with open(version, "w", encoding="utf-8") as file:
            file.write(text)
        check(golden, name, build(project, "FROM scratch\n"), project)


@pytest.mark.parametrize("name", ["manifest", "head"])
def test_a_damaged_snapshot_names_itself_and_is_made_anew(project: Project, golden: Golden, name: str) -> None:
    text = "FROM busybox\nRUN echo a > /a\n"
    archive = f"--output=type=oci,dest={project.out}/image.tar"
    build(project, text).ok()
    snapshots = os.path.join(project.store, "store", "snapshots")
    (made,) = [entry for entry in os.listdir(snapshots) if entry.startswith("s-")]
    with open(os.path.join(snapshots, made, name), "wb") as file:
        file.write(b"rubbish")
    outcome = build(project, text, archive)
    check(golden, f"damaged-{name}", outcome, project)
    hint = re.search(r"remove (\S+), and build again", outcome.stderr)
    assert hint
    subprocess.run(["rm", "-rf", hint[1]], check=True)
    build(project, text, archive).ok()


def test_damaged_documents_are_got_again(project: Project) -> None:
    good_build(project)
    blobs = os.path.join(project.store, "store", "blobs", "sha256")
    for name in os.listdir(blobs):
        with open(os.path.join(blobs, name), "wb") as file:
            file.write(b"rubbish")
    assert "ran" not in good_build(project)


def test_a_registry_without_the_image(project: Project, golden: Golden) -> None:
    port = free_port()
    folder = os.path.join(project.folder, "registry")
    config = os.path.join(project.folder, "registry.yml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}}}}}\n"
        )
    with started(["docker-registry", "serve", config], port):
        check(golden, "base-not-found", build(project, f"FROM 127.0.0.1:{port}/no/such:1\n"), project)
        check(golden, "pull-not-found", project.jettison("pull", f"127.0.0.1:{port}/no/such:1"), project)


@pytest.mark.root
@pytest.mark.rootless
def test_a_file_that_may_not_be_read(ordinary_user: User, golden: Golden) -> None:
    theirs = ordinary_user.project("unreadable")
    theirs.write("sub/secret.txt", "x", 0o000)
    theirs.write("open.txt", "x")
    theirs.write("Dockerfile", "FROM scratch\nCOPY . /\n")
    theirs.write("Unreadable", "FROM scratch\n", 0o000)
    os.chown(os.path.join(theirs.context, "open.txt"), ordinary_user.uid, ordinary_user.gid)
    check(golden, "unreadable-file", theirs.jettison("build", "--progress=quiet", "."), theirs)
    check(golden, "unreadable-dockerfile", theirs.jettison("build", "--progress=quiet", "-fUnreadable", "."), theirs)
    theirs.write("closed/Dockerfile", "FROM scratch\n")
    os.chmod(os.path.join(theirs.context, "closed"), 0o700)
    check(golden, "context-that-is-closed", theirs.jettison("build", "closed"), theirs)


@pytest.mark.root
@pytest.mark.rootless
def test_what_has_no_step_is_built_where_no_isolation_works(ordinary_user: User) -> None:
    theirs = ordinary_user.project("no-isolation")
    theirs.program = ("setpriv", "--no-new-privs", *theirs.program)  # so newuidmap, which maps ids, can do nothing
    ordinary_user.base(theirs)
    theirs.write("Dockerfile", "FROM busybox AS first\nRUN true\nFROM busybox AS second\nLABEL a=b\n")
    words = ("build", "--progress=quiet", f"--build-context=busybox=oci-layout://{theirs.bases['busybox']}", ".")
    assert theirs.jettison(*words, "--target=second").code == 0
    refused = theirs.jettison(*words, "--target=first")
    assert refused.code == 6
    assert "no isolation works here" in refused.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("context-is-missing", ("build", "nosuch")),
        ("context-is-a-file", ("build", "Dockerfile")),
        ("two-contexts", ("build", ".", "..")),
        ("unknown-command", ("biuld",)),
        ("unknown-option", ("--verbose",)),
        ("run-of-nothing", ("run",)),
        ("run-of-an-unknown-image", ("run", "nosuch.invalid/image:1")),
        ("run-without-a-command", ("run", "app")),
        ("run-of-an-unknown-command", ("run", "app", "nosuch")),
        ("run-of-what-is-no-program", ("run", "app", "/a.txt")),
        ("run-as-an-unknown-user", ("run", "--user=nosuch", "app", "/a.txt")),
        ("run-with-a-bad-network", ("run", "--network=bridge", "app")),
        ("run-with-another-port", ("run", "--publish=8080:80", "app")),
        ("pull-of-a-bad-name", ("pull", "Upper")),
        ("doctor-with-a-wrong-flag", ("doctor", "--jsno")),
    ],
)
def test_other_commands(project: Project, golden: Golden, name: str, words: tuple[str, ...]) -> None:
    project.write("a.txt", "a\n")
    if "app" in words:
        build(project, "FROM scratch\nCOPY a.txt /\n", "--tag=app").ok()
    else:
        project.write("Dockerfile", "FROM scratch\n")
    none = {key: "" for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for key in (upper, upper.lower())}
    check(golden, f"command-{name}", project.jettison(*words, variables=none), project)


def test_what_is_sent_as_a_context_is_neither_tar_nor_dockerfile(project: Project, golden: Golden) -> None:
    outcome = project.jettison("build", "-", stdin=bytes(range(256)) * 100)
    check(golden, "garbage-as-context", outcome, project)


def test_a_reader_that_goes_away(project: Project) -> None:
    script = f"{' '.join(project.program)} build --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], env=project.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("usage: jettison build")
    assert done.stdout.splitlines()[-1] in ("0", "141")
    assert done.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed(project: Project, closed: str) -> None:
    """A file of the store must not become descriptor 2, and get what is meant for people."""
    build(project, "FROM busybox\n", "--tag=app").ok()
    piped = Project(project.folder, program=("bash", "-c", f'"$@" {closed}', "bash", *project.program))
    piped.bases = project.bases
    assert piped.build("--no-cache").code == 0
    assert build(piped, "FROM busybox\nRUN exit 3\n").code == 1
    assert piped.jettison("run", "app", "cat").code == 0
    assert "ran" in good_build(project)
    assert "ran" not in good_build(project)


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ("build --quiet --output=- . | head -c1", "141 0"),
        ("build --quiet --output=type=oci,dest=- . | head -c1", "141 0"),
        ("build --progress=plain --no-cache . 2>&1 | head -1", "141 0|0 0"),  # it may have printed all before
        ("run app yes | head -1", "141 0"),
        ("build --quiet . > /dev/full", "6"),
        ("build --progress=plain . 2> /dev/full", "6"),
    ],
)
def test_output_that_cannot_be_written(project: Project, script: str, codes: str) -> None:
    project.write("large", bytes(1 << 20))
    build(project, 'FROM busybox\nCOPY large /\nCMD ["sh"]\n', "--tag=app").ok()
    base = f"--build-context=busybox=oci-layout://{project.bases['busybox']}"
    command = f"{' '.join(project.program)} {script.replace('build', f'build {base}', 1)}"
    words = ["bash", "-c", f"{command}; echo ${{PIPESTATUS[*]}} > ../codes"]
    done = subprocess.run(words, cwd=project.context, env=project.environment(), capture_output=True, check=True)
    assert b"Traceback" not in done.stderr
    with open(os.path.join(project.folder, "codes"), encoding="ascii") as file:
        assert file.read().strip() in codes.split("|")
