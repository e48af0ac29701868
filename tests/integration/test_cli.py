"""The command line as a user meets it: help, what is printed where, files that are written, images that run."""

import json
import os
import re
import tarfile

import pytest

import users
from golden import Golden
from project import Outcome, Project, project

__all__ = ["project"]

DOCKERFILE = """FROM busybox AS build
COPY a.txt /a
RUN cat /a > /b; echo made
FROM busybox
COPY --from=build /b /b
ENV GREETING=hello HOME_OF=image
WORKDIR /srv
USER 1000:1000
CMD ["cat", "/b"]
"""


@pytest.fixture
def app(project: Project) -> Project:
    """A project whose image is called app."""
    project.base().files(Dockerfile=DOCKERFILE, a__txt="a\n").build("--tag=app").ok()
    return project


def run(project: Project, *words: str, stdin: bytes = b"", variables: dict[str, str] | None = None) -> Outcome:
    return project.jettison("run", *words, stdin=stdin, variables=variables)


@pytest.mark.parametrize("command", ["", "build", "run", "images", "pull", "history", "du", "prune", "doctor"])
def test_help(project: Project, golden: Golden, command: str) -> None:
    shown = project.jettison(*command.split(), "--help", variables={"COLUMNS": "100"}).ok()
    assert shown.stderr == ""
    golden.check(f"cli/help{'-' if command else ''}{command}.txt", shown.stdout)
    assert project.jettison("help", *command.split(), variables={"COLUMNS": "100"}).ok().stdout == shown.stdout


def documented() -> list[tuple[str, str]]:
    """(command, the rest of its line) for every call of jettison that a document shows."""
    folders = ("", "docs", "examples/hello", "examples/node-typescript", "examples/python-wheel")
    found = []
    for folder in (os.path.join(users.ROOT, folder) for folder in folders):
        for name in (name for name in os.listdir(folder) if name.endswith(".md")):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found += re.findall(r"^(?:\$ | {4})jettison (\w+)([^|&#\n]*)", file.read(), re.MULTILINE)
    return found


def test_documents_show_what_there_is(project: Project) -> None:
    shown = documented()
    assert len(shown) > 10
    help_of = {command: project.jettison("help", command).ok().stdout for command, _ in shown}
    for command, rest in shown:
        for word in rest.split() if command != "run" else ():
            flag = word.partition("=")[0]
            assert not flag.startswith("-") or flag == "-" or f" {flag}" in help_of[command], (command, rest)


def test_version(project: Project) -> None:
    assert re.fullmatch(r"jettison \d+\.\d+\.\d+\n", project.jettison("--version").ok().stdout)


def test_plain_progress(project: Project, golden: Golden) -> None:
    project.base().files(Dockerfile=DOCKERFILE, a__txt="a\n")
    text = project.build().ok().stderr + "--- again\n" + project.build().ok().stderr
    text = re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", text)
    text = re.sub(r"^image [0-9a-f]{12}$", "image ID", text, flags=re.MULTILINE)  # times are in it
    golden.check("cli/plain.txt", re.sub(r"\d+\.\d+(s| )", r"TIME\1", text))


def test_raw_events_are_lines_of_json(app: Project) -> None:
    lines = app.build("--progress=rawjson").ok().stderr.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0]["type"] == "BuildStarted"
    assert events[-1]["type"] == "BuildFinished"
    assert {event["type"] for event in events} >= {"StepCached"}


@pytest.mark.parametrize("flags", [("--quiet",), ("-q",), ("--progress=quiet",), ("--progress=none",)])
def test_quiet_prints_nothing_but_the_id(app: Project, flags: tuple[str, ...]) -> None:
    outcome = app.build(*flags).ok()
    assert outcome.stderr == ""
    printed = re.fullmatch(r"sha256:[0-9a-f]{64}\n", outcome.stdout)
    assert printed if flags[0] in ("--quiet", "-q") else outcome.stdout == ""


def test_flags_of_attestations_may_say_that_there_are_none(app: Project) -> None:
    app.build("-q", "--provenance=false", "--sbom=false").ok()
    refused = app.build("--provenance=true")
    assert refused.code == 2
    assert "--provenance: attestations are not built yet\nhint: --provenance=false" in refused.stderr
    assert "leave it out" in app.build("--builder", "default").stderr


def test_files_that_are_written(app: Project) -> None:
    iid, metadata = (os.path.join(app.out, name) for name in ("iid", "metadata.json"))
    printed = app.build("--quiet", "--iidfile", iid, f"--metadata-file={metadata}", "--tag=app:2", "-tapp:3").ok()
    with open(iid, encoding="ascii") as file:
        assert file.read() == printed.stdout.strip()
    with open(metadata, encoding="utf-8") as file:
        found = json.load(file)
    assert found["containerimage.config.digest"] == printed.stdout.strip()
    assert found["image.name"] == "docker.io/library/app:2,docker.io/library/app:3"
    assert found["jettison.record"]["outcome"] == "done"
    assert sorted(os.listdir(app.out)) == ["iid", "metadata.json"]


def test_metadata_describes_the_manifest_that_was_written(app: Project) -> None:
    layout, metadata = (os.path.join(app.out, name) for name in ("layout", "metadata.json"))
    app.build(f"--output=type=oci,tar=false,dest={layout}", f"--metadata-file={metadata}").ok()
    with open(metadata, encoding="utf-8") as file:
        said = json.load(file)["containerimage.descriptor"]
    with open(os.path.join(layout, "index.json"), encoding="utf-8") as file:
        entry = json.load(file)["manifests"][0]
    assert said == {key: entry[key] for key in ("mediaType", "digest", "size")}


@pytest.mark.parametrize("spec", ["type=oci,dest=-", "type=oci", "type=docker,dest=-", "-", "type=tar"])
def test_archives_go_to_standard_output(app: Project, spec: str) -> None:
    path = os.path.join(app.out, "piped.tar")
    script = '"$@" > "$OUT"'
    words = ["sh", "-c", script, "sh", *app.program]
    piped = Project(app.folder, program=tuple(words))
    piped.bases = app.bases
    outcome = piped.build(f"--output={spec}", variables={"OUT": path}).ok()
    assert outcome.stdout == ""
    with tarfile.open(path) as archive:
        names = archive.getnames()
    wanted = {"type=oci": "index.json", "type=docker": "manifest.json"}.get(spec.partition(",")[0], "b")
    assert wanted in names


def test_images(app: Project) -> None:
    image_id = app.build("--tag=registry.example/team/app:1", "--quiet").ok().stdout.strip()
    lines = app.jettison("images").ok().stdout.splitlines()
    assert lines[0].split()[0] == "NAME"
    assert [line.split()[0] for line in lines[1:]] == ["app:latest", "registry.example/team/app:1"]
    assert {image_id[7:19] in line for line in lines[1:]} == {True}
    assert app.jettison("images", "-q").ok().stdout.split() == [image_id, image_id]
    found = [json.loads(line) for line in app.jettison("images", "--json").ok().stdout.splitlines()]
    assert [image["name"] for image in found] == ["app:latest", "registry.example/team/app:1"]


def test_no_images(project: Project) -> None:
    assert len(project.jettison("images").ok().stdout.splitlines()) == 1
    assert project.jettison("images", "--quiet").ok().stdout == ""


def test_run_is_the_images_command_as_its_user(app: Project) -> None:
    assert run(app, "app").ok().stdout == "a\n"
    shown = run(app, "app", "sh", "-c", "id -u; id -g; pwd; echo $GREETING").ok().stdout
    assert shown == "1000\n1000\n/srv\nhello\n"


def test_run_by_id(app: Project) -> None:
    image_id = app.jettison("images", "-q").ok().stdout.strip()
    for name in (image_id, image_id[7:19], "docker.io/library/app:latest"):
        assert run(app, name).ok().stdout == "a\n"


def test_run_with_other_settings(app: Project) -> None:
    script = 'echo "$GREETING $GIVEN $EMPTY-"; id -u; id -g; pwd'
    words = ("-e", "GREETING=bye", "--env=GIVEN", "-eEMPTY=", "-u", "12:34", "--workdir", "/new/dir")
    outcome = run(app, *words, "app", "sh", "-c", script, variables={"GIVEN": "given"}).ok()
    assert outcome.stdout == "bye given -\n12\n34\n/new/dir\n"
    assert run(app, "--entrypoint=/bin/echo", "app", "-n", "x").ok().stdout == "x"
    assert run(app, "--rm", "-it", "-p", "80:80", "--entrypoint=", "app", "echo", "y").ok().stdout == "y\n"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 9", 9), ("sh -c 'kill -9 $$'", 137), ("nosuch", 127), ("sh -c 'kill $$'", 143)]
)
def test_run_ends_with_the_commands_code(app: Project, script: str, code: int) -> None:
    assert run(app, "app", "sh", "-c", script).code == code


def test_run_passes_the_streams_on(app: Project) -> None:
    outcome = run(app, "app", "sh", "-c", "tr a-z A-Z; echo error >&2", stdin=b"words\n").ok()
    assert (outcome.stdout, outcome.stderr) == ("WORDS\n", "error\n")


def test_run_keeps_nothing(app: Project) -> None:
    run(app, "--user=0", "app", "touch", "/kept").ok()
    assert "kept" not in run(app, "app", "ls", "/").ok().stdout


@pytest.mark.root
def test_run_without_a_network(app: Project) -> None:
    assert run(app, "--network=none", "app", "sh", "-c", "ls /sys/class/net").code == 0
    shown = run(app, "--network=none", "app", "sh", "-c", "cat /proc/net/dev").ok().stdout
    assert [line.split(":")[0].strip() for line in shown.splitlines()[2:]] == ["lo"]


def test_doctor(project: Project) -> None:
    report = json.loads(project.jettison("doctor", "--json").ok().stdout)
    tiers = {tier["name"]: tier["works"] for tier in report["tiers"]}
    assert tiers[report["tier"]]
    assert set(tiers) == {"root", "rootless"}
    shown = project.jettison("doctor").ok().stdout
    assert f"RUN works here, in tier {report['tier']}." in shown
    assert report["store"] in shown


@pytest.mark.root
def test_doctor_without_subordinate_ids(worker_id: str, golden: Golden) -> None:
    """An ordinary user who has none: it says that nothing works, and the line that would help."""
    poor = users.make(f"jettison-poor-{worker_id}", subordinate=False)
    try:
        project = poor.project("poor")
        outcome = project.jettison("doctor")
        assert outcome.code == 6
        text = re.sub(r"kernel \S+, uid \d+", "kernel VERSION, uid UID", outcome.stdout)
        golden.check("cli/doctor-poor.txt", without_names(text.replace(project.store, "STORE"), poor))
        project.write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
        built = project.jettison("build", "--progress=quiet", ".")
        assert built.code == 6
        golden.check("errors/no-tier.txt", without_names(built.stderr, poor))
    finally:
        users.remove(poor.name)


def without_names(text: str, user: users.User) -> str:
    return re.sub(r"\d{5,}-\d{5,}", "RANGE", text.replace(user.name, "USER"))


def test_a_dockerfile_that_is_not_utf8(project: Project) -> None:
    """As BuildKit has it: in what JSON holds, U+FFFD stands for a byte that is no UTF-8."""
    project.base().write("Dockerfile", b"FROM busybox\nENV A=caf\xe9\nRUN : caf\xe9\n")
    project.build("--tag=latin", "--progress=rawjson", f"--metadata-file={project.out}/meta.json").ok()
    assert run(project, "latin", "sh", "-c", "echo $A").ok().stdout == "caf\ufffd\n"
    project.jettison("build", "--call=outline,format=json", project.context).ok()


def test_ctrl_c_while_the_program_starts_is_one_line(project: Project) -> None:
    """It may come in the middle of an import, as here, before anything of a command is there."""
    project.write("early/msgspec/__init__.py", "raise KeyboardInterrupt\n")
    outcome = project.jettison("build", ".", variables={"PYTHONPATH": f"{project.context}/early"})
    assert outcome == Outcome(130, "", "jettison: interrupted\n")
