"""`--check` and `--call`, as the command line answers them: texts, JSON, exit codes."""

import base64
import json
import os

import pytest

import handmade
from jettison.app.call import Checked
from jettison.base.errors import UsageError
from jettison.base.span import Source, Span
from jettison.cli.call_show import Call, chosen_call, parse_call, print_text, table_text
from jettison.cli.check_show import check_text, framed
from jettison.cli.main import main
from jettison.export.layout import write_layout

DOCKERFILE = """# syntax=docker/dockerfile:1
FROM scratch AS base
COPY a /

FROM base
WORKDIR /app
CMD npm start
"""
TARGETS = """ARG VERSION=1
ARG NAME=app-$VERSION
# base has the tools
FROM scratch AS base
RUN --mount=type=secret,id=token,required --mount=type=ssh --mount=type=cache,id=pip,target=/p true

FROM busybox AS other
ARG NAME

# release is what ships
FROM --platform=$BUILDPLATFORM base AS release
# MODE says how
ARG MODE
ARG VERSION
"""


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Writes a Dockerfile, asks, and returns the exit code with what was printed."""
    monkeypatch.setenv("JETTISON_HOME", str(tmp_path / "store"))
    monkeypatch.delenv("BUILDKIT_DOCKERFILE_CHECK", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(text, *words, ignore=None):
        os.makedirs("context", exist_ok=True)
        for name, content in (("Dockerfile", text), (".dockerignore", ignore)):
            if content is not None:
                with open(f"context/{name}", "wb") as file:
                    file.write(content.encode("utf-8", "surrogateescape"))
        code = main(["build", *words, "context"])
        return code, *capsys.readouterr()

    return run


def busybox(directory):
    """A layout of an image with an environment, as a build context."""
    image = handmade.image_of(os.path.join(directory, "blobs"))
    write_layout([image], ("busybox:latest",), os.path.join(directory, "layout"), as_tar=False)
    return f"--build-context=busybox=oci-layout://{os.path.join(directory, 'layout')}"


def test_a_finding_is_shown_as_docker_shows_it(ask):
    code, out, err = ask(DOCKERFILE, "--check")
    assert code == 1
    assert err == ""
    assert out == (
        "Check complete, 1 warning has been found!\n"
        "\n"
        "WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/\n"
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals\n"
        "Dockerfile:7\n"
        "--------------------\n"
        "   5 |     FROM base\n"
        "   6 |     WORKDIR /app\n"
        "   7 | >>> CMD npm start\n"
        "   8 |     \n"
        "--------------------\n"
    )


def test_nothing_found(ask):
    assert ask("FROM scratch\nCOPY a /\n", "--check") == (0, "Check complete, no warnings found.\n", "")


def test_several_are_counted(ask):
    code, out, _ = ask("FROM scratch\nMAINTAINER a\nCMD b\n", "--call=check")
    assert code == 1
    assert out.startswith("Check complete, 2 warnings have been found!\n\nWARNING: MaintainerDeprecated - ")
    assert out.count("WARNING: ") == 2


def test_json(ask):
    code, out, _ = ask(DOCKERFILE, "--call=check,format=json")
    assert code == 1
    document = json.loads(out)
    assert document["warnings"] == [
        {
            "ruleName": "JSONArgsRecommended",
            "description": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to "
            "OS signals",
            "url": "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
            "detail": "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            "location": {"ranges": [{"start": {"line": 7, "character": 0}, "end": {"line": 7, "character": 13}}]},
        }
    ]
    (source,) = document["sources"]
    assert source["filename"] == "Dockerfile"
    assert base64.b64decode(source["data"]).decode() == DOCKERFILE


def test_json_of_nothing(ask):
    code, out, _ = ask("FROM scratch\nCOPY a /\n", "--call=check,format=json")
    assert code == 0
    assert json.loads(out)["warnings"] == []


def test_the_status_can_be_ignored(ask):
    assert ask(DOCKERFILE, "--call=check,ignorestatus=true")[0] == 0


@pytest.mark.parametrize("given", ["argument", "variable"])
def test_the_directive_gives_way(ask, given, monkeypatch):
    text = "# check=skip=JSONArgsRecommended\n" + DOCKERFILE
    assert ask(text, "--check")[0] == 0
    words = ["--check"]
    if given == "variable":
        monkeypatch.setenv("BUILDKIT_DOCKERFILE_CHECK", "skip=FromAsCasing")
    else:
        words.append("--build-arg=BUILDKIT_DOCKERFILE_CHECK=skip=FromAsCasing")
    assert ask(text, *words)[0] == 1


def test_the_argument_wins_over_the_variable(ask, monkeypatch):
    monkeypatch.setenv("BUILDKIT_DOCKERFILE_CHECK", "nonsense")
    assert ask(DOCKERFILE, "--check", "--build-arg=BUILDKIT_DOCKERFILE_CHECK=skip=all")[0] == 0


def test_options_that_make_no_sense(ask):
    code, out, err = ask("# check=skip\nFROM scratch\n", "--check")
    assert (code, out) == (3, "")
    assert 'Dockerfile:1: invalid check option "skip"' in err
    code, _, err = ask(DOCKERFILE, "--check", "--build-arg=BUILDKIT_DOCKERFILE_CHECK=error=perhaps")
    assert code == 2
    assert "BUILDKIT_DOCKERFILE_CHECK" in err


def test_what_is_ignored(ask):
    _, out, _ = ask("FROM scratch\nCOPY build /\n", "--check", ignore="build\n")
    assert 'Attempting to Copy file "build" that is excluded by .dockerignore' in out


def test_a_broken_file_is_an_error_and_json_says_so(ask):
    text = "FROM scratch\nCOPYY a /\n"
    code, out, err = ask(text, "--check")
    assert (code, out) == (3, "")
    assert "unknown instruction: COPYY" in err
    code, out, _ = ask(text, "--call=check,format=json")
    assert code == 3
    document = json.loads(out)
    assert document["warnings"] == []
    assert document["buildError"]["message"] == "unknown instruction: COPYY"
    assert document["buildError"]["location"]["ranges"][0]["start"]["line"] == 2


def test_warnings_come_before_what_planning_refuses(ask):
    code, out, err = ask("FROM scratch as a\nCOPY --from=7 a /\n", "--check")
    assert code == 3
    assert "FromAsCasing" in out
    assert "invalid stage index 7" in err


def test_a_known_image_says_what_is_set(ask, tmp_path):
    text = "FROM busybox\nCOPY $PATH $foo /\n"
    code, out, err = ask(text, "--check", busybox(str(tmp_path)))
    assert (code, err) == (1, "")
    assert "Usage of undefined variable '$foo'" in out
    assert "'$PATH'" not in out


def test_an_image_of_another_platform(ask, tmp_path):
    code, out, _ = ask("FROM busybox\n", "--check", "--platform=linux/amd64,linux/arm64", busybox(str(tmp_path)))
    assert code == 1
    assert 'was pulled with platform "linux/amd64", expected "linux/arm64" for current build' in out


def test_an_unknown_image_is_noted(ask):
    code, out, err = ask("FROM oci-layout-of-nobody.invalid/x:1 AS a\nCOPY $foo /\n", "--check")
    assert (code, out) == (0, "Check complete, no warnings found.\n")
    assert err.startswith("note: image oci-layout-of-nobody.invalid/x:1 is not known, nor what it sets: ")
    assert err.count("note:") == 1


def test_targets(ask):
    code, out, _ = ask(TARGETS, "--call=targets")
    assert code == 0
    assert out == (
        "TARGET              DESCRIPTION\nbase                has the tools\nother\nrelease (default)   is what ships\n"
    )


def test_targets_as_json(ask):
    _, out, _ = ask(TARGETS, "--call=targets,format=json")
    document = json.loads(out)
    assert document["targets"][0] == {
        "name": "base",
        "description": "has the tools",
        "base": "scratch",
        "location": {"ranges": [{"start": {"line": 4}, "end": {"line": 4}}]},
    }
    assert document["targets"][2]["default"] is True
    assert document["targets"][2]["platform"] == "$BUILDPLATFORM"
    assert base64.b64decode(document["sources"][0]).decode() == TARGETS


def test_an_unnamed_last_stage_is_the_default(ask):
    assert ask("FROM scratch\nFROM scratch\n", "--call=targets")[1] == "TARGET      DESCRIPTION\n(default)\n"


def test_outline(ask):
    code, out, err = ask(TARGETS, "--call=outline", "--build-arg=MODE=fast")
    assert (code, err) == (0, "")
    assert out == (
        "TARGET:        release\n"
        "DESCRIPTION:   is what ships\n"
        "\n"
        "BUILD ARG   VALUE   DESCRIPTION\n"
        "VERSION     1\n"
        "MODE        fast    says how\n"
        "\n"
        "SECRET   REQUIRED\n"
        "token    true\n"
        "\n"
        "SSH       REQUIRED\n"
        "default\n"
    )


def test_outline_of_another_target_as_json(ask, tmp_path):
    words = ["--call=outline,format=json", "--target=other", busybox(str(tmp_path))]
    document = json.loads(ask(TARGETS, *words)[1])
    assert document["name"] == "other"
    assert [arg["name"] for arg in document["args"]] == ["VERSION", "NAME"]
    assert document["args"][1]["value"] == "app-1"
    assert "secrets" not in document
    document = json.loads(ask(TARGETS, "--call=outline,format=json")[1])
    assert document["secrets"] == [{"name": "token", "required": True}]
    assert document["cache"] == [{"ID": "pip"}]


def test_outline_needs_no_image(ask):
    code, out, _ = ask("FROM nobody.invalid/x\nARG A=1\n", "--call=outline")
    assert code == 0
    assert "A           1" in out


def test_call_build_builds_as_ever(ask):
    code, _, err = ask("FROM nowhere.invalid/x\nCOPY a /\n", "--call=build", "--progress=plain")
    assert code == 5
    assert "nowhere.invalid" in err


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("check", Call("check")),
        ("lint", Call("check")),
        ("outline,format=text", Call("outline")),
        ("targets,format=json", Call("targets", as_json=True)),
        ("check,ignorestatus", Call("check", ignore_status=True)),
    ],
)
def test_calls(text, call):
    assert parse_call(text) == call


@pytest.mark.parametrize("text", ["chekc", "check,format=xml", "check,form=json", "check,ignorestatus=maybe", ""])
def test_calls_that_are_none(text):
    with pytest.raises(UsageError, match="--call"):
        parse_call(text)


def test_check_beside_call():
    assert chosen_call("build", check=True) == Call("check")
    assert chosen_call("check,format=json", check=True) == Call("check", as_json=True)
    with pytest.raises(UsageError, match="--check is short for --call=check"):
        chosen_call("outline", check=True)


def test_lines_around_several():
    source = Source("Dockerfile", "a\nb\r\nc\nd\ne\n")
    assert framed(source, Span(2, 0, 3, 1)).split("\n") == [
        "-" * 20,
        "   1 |     a",
        "   2 | >>> b",
        "   3 | >>> c",
        "   4 |     d",
        "-" * 20,
        "",
    ]


def test_no_finding_but_an_error_says_nothing_of_being_complete():
    from jettison.base.errors import Diagnostic, DockerfileError

    source = Source("Dockerfile", "x")
    error = DockerfileError(source, (Diagnostic("x", Span(1, 0, 1, 1)),))
    assert check_text(Checked(source=source, error=error)) == ""


def test_a_dockerfile_does_not_steer_the_terminal(capsys):
    print_text("a\x1b[31m\x07\tb\udcff\n")
    assert capsys.readouterr().out == "a\ufffd[31m\ufffd\tb\ufffd\n"


def test_tables():
    assert table_text([["A", "LONG"], ["abc", ""]]) == "A     LONG\nabc"
