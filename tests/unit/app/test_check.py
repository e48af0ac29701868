"""What a build tells of a Dockerfile, and what fails it."""

import pytest

from jettison.app.check import Known, as_event, lint_warnings, options_of
from jettison.app.request import BuildRequest
from jettison.base.errors import DockerfileError, UsageError
from jettison.base.span import Source
from jettison.oci.documents import ImageConfig, RuntimeConfig
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions, ResolvedImage
from jettison.record.model import Warned
from jettison.syntax.parse import parse_dockerfile

CONFIG = ImageConfig(os="linux", architecture="amd64", config=RuntimeConfig(env=("PATH=/bin", "HERE=1")))


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("BUILDKIT_DOCKERFILE_CHECK", raising=False)


def parsed(text):
    return parse_dockerfile(Source("Dockerfile", text))


def known(tree):
    resolver = Known(lambda _: ResolvedImage(digest="sha256:" + "0" * 64, config=CONFIG))
    drive(lower(tree, LowerOptions()), resolver)
    return resolver


def test_images_of_the_plan_are_known_and_others_are_not():
    tree = parsed("FROM busybox AS unreached\nCOPY $foo /\n\nFROM alpine\nCOPY $foo $HERE /\n")
    request = BuildRequest(platforms=("linux/amd64",))
    found = lint_warnings(tree, request, lookup=known(tree).lookup)
    assert [(one.rule, one.span.start_line) for one in found] == [("UndefinedVar", 5)]


def test_a_build_asks_for_no_image():
    assert lint_warnings(parsed("FROM busybox\nCOPY $foo /\n"), BuildRequest()) == ()


def test_an_event_is_short_and_placed():
    tree = parsed("FROM scratch\n\nMAINTAINER me\n")
    (finding,) = lint_warnings(tree, BuildRequest())
    message = "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label"
    assert as_event(tree, finding) == Warned(message=message, place="Dockerfile:3")


def test_what_is_wrong_for_several_platforms_is_said_once():
    tree = parsed("FROM scratch\nMAINTAINER me\nCMD a\n")
    found = lint_warnings(tree, BuildRequest(platforms=("linux/amd64", "linux/arm64")))
    assert [one.rule for one in found] == ["MaintainerDeprecated", "JSONArgsRecommended"]


def test_error_true_fails_the_build():
    tree = parsed("# check=error=true\nFROM scratch\nMAINTAINER me\nCMD a\n")
    with pytest.raises(DockerfileError) as caught:
        lint_warnings(tree, BuildRequest())
    error = caught.value
    assert error.exit_code == 3
    assert error.message == "lint violation found for rules: JSONArgsRecommended, MaintainerDeprecated"
    assert [one.span.start_line for one in error.diagnostics] == [1, 3, 4]
    assert error.diagnostics[1].hint == "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/"


def test_error_true_by_build_arg():
    tree = parsed("FROM scratch\nMAINTAINER me\n")
    with pytest.raises(DockerfileError, match="lint violation found for rules: MaintainerDeprecated"):
        lint_warnings(tree, BuildRequest(build_args={"BUILDKIT_DOCKERFILE_CHECK": "error=true"}))


def test_error_true_without_findings():
    assert lint_warnings(parsed("# check=error=true\nFROM scratch\nCOPY a /\n"), BuildRequest()) == ()


def test_the_bare_argument_takes_the_variable(monkeypatch):
    monkeypatch.setenv("BUILDKIT_DOCKERFILE_CHECK", "skip=all")
    request = BuildRequest(build_args={"BUILDKIT_DOCKERFILE_CHECK": None})
    assert options_of(parsed("FROM scratch\n"), request).skip == {"all"}


def test_wrong_options_are_placed():
    with pytest.raises(DockerfileError) as caught:
        options_of(parsed("# check=what\nFROM scratch\n"), BuildRequest())
    assert str(caught.value).startswith('Dockerfile:1: invalid check option "what"')
    with pytest.raises(UsageError, match="BUILDKIT_DOCKERFILE_CHECK: invalid check option"):
        options_of(parsed("FROM scratch\n"), BuildRequest(build_args={"BUILDKIT_DOCKERFILE_CHECK": "what"}))
