"""The Python API does what the command line does, with typed values; what the documents show of it runs."""

import os
import re
import subprocess
import sys
import threading

import pytest

import jettison
from aftermath import assert_nothing_is_left
from project import Project, project
from users import ROOT

__all__ = ["project"]

DOCUMENTS = ("README.md", "docs/python.md")
DOCKERFILE = """FROM busybox AS build
ARG WORD=none
COPY a.txt /a
RUN echo "$WORD" > /word; echo out; echo err >&2; cat /run/secrets/token
FROM busybox
COPY --from=build /word /word
LABEL made=by-hand
"""


def blocks() -> list[tuple[str, str]]:
    found = []
    for name in DOCUMENTS:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            texts = re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
        found += [(f"{name}-{number}", text) for number, text in enumerate(texts, 1)]
    return found


def request_of(project: Project, dockerfile: str = DOCKERFILE, **fields) -> jettison.BuildRequest:
    project.base().files(a__txt="a\n")
    return jettison.BuildRequest(
        context=project.context,
        dockerfile_text=dockerfile,
        build_contexts={"busybox": f"oci-layout://{project.bases['busybox']}"},
        store=project.store,
        **fields,
    )


@pytest.mark.parametrize(("name", "text"), blocks(), ids=[name for name, _ in blocks()])
def test_documented_examples_run(project: Project, name: str, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd=ROOT,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), name
    assert done.stdout


def test_it_makes_what_the_command_line_makes(project: Project) -> None:
    token = project.write("token", "a secret word\n")
    outputs = (jettison.OutputSpec(type="oci", dest=os.path.join(project.out, "api.tar"), rewrite_timestamp=True),)
    secrets = (jettison.Secret(id="token", src=token),)
    text = DOCKERFILE.replace("RUN ", "RUN --mount=type=secret,id=token ")
    request = request_of(
        project,
        text,
        tags=("app:api",),
        build_args={"WORD": "given"},
        labels={"more": "too"},
        secrets=secrets,
        outputs=outputs,
        source_date_epoch=1_700_000_000,
    )
    result = jettison.build(request)
    project.write("Dockerfile", text)
    other = Project(os.path.join(project.folder, "other"))
    other.bases, other.context = project.bases, project.context
    flags = ("--tag=app:cli", "--build-arg=WORD=given", "--label=more=too", f"--secret=id=token,src={token}", "--quiet")
    spec = f"--output=type=oci,dest={project.out}/cli.tar,rewrite-timestamp=true"
    printed = other.build(*flags, spec, variables={"SOURCE_DATE_EPOCH": "1700000000"}).ok().stdout
    assert result.images[0].config_digest == printed.strip()
    with open(f"{project.out}/api.tar", "rb") as ours, open(f"{project.out}/cli.tar", "rb") as theirs:
        assert len(ours.read()) == len(theirs.read())
    assert project.jettison("run", "app:api", "cat", "/word").ok().stdout == "given\n"


def test_the_result_is_typed(project: Project) -> None:
    result = jettison.build(request_of(project, DOCKERFILE.replace("; cat /run/secrets/token", ""), tags=("app",)))
    (image,) = result.images
    assert isinstance(image, jettison.ImageRecord)
    assert image.names == ("docker.io/library/app:latest",)
    assert [bool(layer.step) for layer in image.layers] == [False, True]
    assert isinstance(result.record, jettison.BuildRecord)
    assert (result.record.outcome, result.record.images) == ("done", result.images)
    verdicts = {step.display: step.verdict for step in result.record.steps if "RUN" in step.display}
    assert set(verdicts.values()) == {"ran"}
    again = jettison.build(request_of(project, DOCKERFILE.replace("; cat /run/secrets/token", "")))
    assert again.images[0].config_digest == image.config_digest
    assert {step.verdict for step in again.record.steps} <= {"cached", "unneeded"}
    assert_nothing_is_left(project)


def test_events_tell_the_whole_story_one_at_a_time(project: Project) -> None:
    events: list[jettison.Event] = []
    within = threading.Lock()

    def listen(event: jettison.Event) -> None:
        assert within.acquire(blocking=False), "two events at once"
        events.append(event)
        within.release()

    jettison.build(request_of(project, DOCKERFILE.replace("; cat /run/secrets/token", "")), on_event=listen)
    assert isinstance(events[0], jettison.BuildStarted)
    assert isinstance(events[-1], jettison.BuildFinished)
    names = dict(events[0].steps)
    started = [names[event.step] for event in events if isinstance(event, jettison.StepStarted)]
    finished = [names[event.step] for event in events if isinstance(event, jettison.StepFinished)]
    assert sorted(started) == sorted(finished)
    said = [(event.stream, event.text) for event in events if isinstance(event, jettison.StepOutput)]
    assert sorted(said) == [(1, "out"), (2, "err")]
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)


def test_a_listener_that_fails_does_not_disturb_the_build(project: Project) -> None:
    calls = []

    def listen(event: jettison.Event) -> None:
        calls.append(event)
        raise RuntimeError("mine")

    request = request_of(project, DOCKERFILE.replace("; cat /run/secrets/token", ""))
    with pytest.raises(RuntimeError, match="mine"):
        jettison.build(request, on_event=listen)
    assert len(calls) == 1
    assert {step.verdict for step in jettison.build(request).record.steps} <= {"cached", "unneeded"}


def test_errors_are_typed_and_placed(project: Project) -> None:
    with pytest.raises(jettison.DockerfileError) as wrong:
        jettison.build(request_of(project, "FROM scratch\nRUNN a\nCOPPY a b\n"))
    assert [found.span.start_line for found in wrong.value.diagnostics] == [2, 3]
    with pytest.raises(jettison.StepError) as failed:
        jettison.build(request_of(project, "FROM busybox\nRUN seq 30; exit 3\n"))
    assert failed.value.process_exit_code == 3
    assert failed.value.tail == tuple(map(str, range(11, 31)))
    assert str(failed.value.location) == "Dockerfile:2"
    with pytest.raises(jettison.InputError, match="not found") as missing:
        jettison.build(request_of(project, "FROM scratch\nCOPY nosuch /\n"))
    assert missing.value.exit_code == 4
    with pytest.raises(jettison.UsageError):
        jettison.build(request_of(project, tags=("Upper",)))
    with pytest.raises(jettison.HostError):
        jettison.build(jettison.BuildRequest(context=project.context, dockerfile_text="FROM scratch", store="/proc/no"))
    assert_nothing_is_left(project)


def test_builds_in_several_threads_share_a_store(project: Project) -> None:
    texts = [f"FROM busybox\nRUN echo same > /same\nRUN echo {number} > /number\n" for number in range(4)]
    results: dict[int, jettison.BuildResult] = {}

    def build(number: int) -> None:
        results[number] = jettison.build(request_of(project, texts[number], tags=(f"app:{number}",)))

    threads = [threading.Thread(target=build, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({results[number].images[0].config_digest for number in range(4)}) == 4
    for number in range(4):
        assert project.jettison("run", f"app:{number}", "cat", "/number").ok().stdout == f"{number}\n"
    assert_nothing_is_left(project)


def test_a_record_outlives_its_build(project: Project) -> None:
    import msgspec

    result = jettison.build(request_of(project, "FROM scratch\nCOPY a.txt /\n"))
    path = os.path.join(project.store, "store", "records", f"{result.record.id}.json")
    with open(path, "rb") as file:
        assert msgspec.json.decode(file.read(), type=jettison.BuildRecord) == result.record
