"""A few images for lint's tests, and one call that checks a text among them."""

import os

import msgspec

from golden import HERE, read_golden
from jettison.base.span import Source
from jettison.lint.check import find
from jettison.lint.options import CheckOptions, parse_options
from jettison.lint.rule import Finding
from jettison.lint.subject import Subject
from jettison.oci.documents import ImageConfig, RuntimeConfig
from jettison.planning.needs import LowerOptions, NeedImage
from jettison.syntax.ignore import parse_ignore
from jettison.syntax.nodes import Dockerfile
from jettison.syntax.parse import parse_dockerfile

FOLDER = "lint"
PATH = "PATH=/bin"


def image(architecture: str = "amd64", variant: str = "", **runtime: object) -> ImageConfig:
    """An image's config."""
    config = RuntimeConfig(**runtime)  # type: ignore[arg-type]
    return ImageConfig(os="linux", architecture=architecture, variant=variant, config=config)


# By the name as written; everything else is unknown.
IMAGES = {
    "busybox": image(env=(PATH,), working_dir="/"),
    "node": image(env=(PATH, "NODE_VERSION=20")),
    "shelled": image(env=(PATH,), shell=("/bin/bash", "-c")),
    "triggers": image(env=(PATH,), on_build=("ENV TRIGGERED=1",)),
    "arm-only": image("arm64", env=(PATH,)),
    "arm-v7": image("arm", "v7", env=(PATH,)),
}


def lookup(need: NeedImage) -> ImageConfig | None:
    """The Lookup of this world."""
    return IMAGES.get(need.written.partition(":")[0])


def checked(
    text: str, options: LowerOptions | None = None, ignore: str = "", check: str | None = None
) -> tuple[Dockerfile, tuple[Finding, ...]]:
    """What is found in a Dockerfile's text; `check` replaces its directive."""
    tree = parse_dockerfile(Source("Dockerfile", text))
    given = tree.directive("check") if check is None else check
    subject = Subject(tree, options or LowerOptions(), ignore=parse_ignore(ignore), lookup=lookup)
    return tree, find(subject, parse_options(given) if given else CheckOptions())


def cases() -> list[str]:
    """The folders of the golden cases, `RULE/CASE`."""
    root = os.path.join(HERE, FOLDER)
    return sorted(f"{rule}/{case}" for rule in os.listdir(root) for case in os.listdir(os.path.join(root, rule)))


def subject_of(case: str) -> Subject:
    """What the rules look at in a golden case."""
    folder = f"{FOLDER}/{case}"
    options = LowerOptions()
    if os.path.exists(os.path.join(HERE, folder, "options.json")):
        options = msgspec.json.decode(read_golden(f"{folder}/options.json").encode(), type=LowerOptions)
    ignored = os.path.exists(os.path.join(HERE, folder, ".dockerignore"))
    ignore = parse_ignore(read_golden(f"{folder}/.dockerignore")) if ignored else ()
    tree = parse_dockerfile(Source("Dockerfile", read_golden(f"{folder}/Dockerfile")))
    return Subject(tree, options, ignore=ignore, lookup=lookup)


def case_findings(case: str) -> tuple[Finding, ...]:
    """What is found in a golden case."""
    subject = subject_of(case)
    given = subject.dockerfile.directive("check")
    return find(subject, parse_options(given) if given else CheckOptions())
