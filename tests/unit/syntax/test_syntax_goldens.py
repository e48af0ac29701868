"""Dockerfiles and the trees, or the errors, that they give. Add one: put a file there and run --update-golden."""

import pytest
from syntax_tree import show

from golden import Golden, golden_inputs, read_golden
from jettison.base.errors import DockerfileError
from jettison.base.span import Source
from jettison.syntax.parse import parse_dockerfile


@pytest.mark.parametrize("name", golden_inputs("syntax", ".Dockerfile"))
def test_tree(name: str, golden: Golden) -> None:
    tree = show(parse_dockerfile(Source("Dockerfile", read_golden(name))))
    golden.check(name.removesuffix(".Dockerfile") + ".tree", tree)


@pytest.mark.parametrize("name", golden_inputs("syntax/negative", ".Dockerfile"))
def test_errors(name: str, golden: Golden) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(Source("Dockerfile", read_golden(name)))
    golden.check(name.removesuffix(".Dockerfile") + ".error", f"{caught.value}\n")
