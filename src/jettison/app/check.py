"""Build checks within a build: what to tell of, and what fails it. Reference §1.12.

The rules are lint's; here they are given what a request says: platforms, build args, contexts, the images that planning
has asked for, and which rules to run.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from jettison.app.options import given_args, lower_options, platforms
from jettison.app.request import BuildRequest
from jettison.base.errors import Diagnostic, DockerfileError, UsageError
from jettison.base.span import Span, place
from jettison.lint.check import find
from jettison.lint.options import CheckOptions, parse_options
from jettison.lint.registry import load
from jettison.lint.rule import Finding
from jettison.lint.subject import Lookup, Subject, nothing_known
from jettison.oci.documents import ImageConfig
from jettison.planning.needs import NeedImage, ResolvedImage
from jettison.record.model import Warned
from jettison.syntax.nodes import Dockerfile

VARIABLE = "BUILDKIT_DOCKERFILE_CHECK"


class Known:
    """A resolver that remembers what it was told, so that the rules see the images of a plan and ask for no other."""

    def __init__(self, resolve: Callable[[NeedImage], ResolvedImage]) -> None:
        self._resolve = resolve
        self._configs: dict[tuple[str, str], ImageConfig] = {}

    def __call__(self, need: NeedImage) -> ResolvedImage:
        """Resolve an image."""
        answer = self._resolve(need)
        self._configs[need.ref, need.platform] = answer.config
        return answer

    def lookup(self, need: NeedImage) -> ImageConfig | None:
        """The config of an image that has been resolved, or None."""
        return self._configs.get((need.ref, need.platform))


def lint_warnings(
    dockerfile: Dockerfile, request: BuildRequest, *, ignore: tuple[str, ...] = (), lookup: Lookup = nothing_known
) -> tuple[Finding, ...]:
    """What the rules find, in order of place. `ignore` are the patterns of the main context's ignore file.

    Raises DockerfileError with all of it where `error=true` asks for that, and for a directive that makes no sense;
    UsageError for a BUILDKIT_DOCKERFILE_CHECK that makes none.
    """
    options = options_of(dockerfile, request)
    findings = findings_of(dockerfile, request, options, ignore=ignore, lookup=lookup)
    if options.error and findings:
        raise violation(dockerfile, findings)
    return findings


def findings_of(
    dockerfile: Dockerfile, request: BuildRequest, options: CheckOptions, *, ignore: tuple[str, ...], lookup: Lookup
) -> tuple[Finding, ...]:
    """What the rules find for every platform of the request, each thing once, in order of place."""
    wanted = platforms(request)
    found: dict[Finding, None] = {}
    for platform in wanted:
        subject = Subject(dockerfile, lower_options(request, platform, False), ignore=ignore, lookup=lookup)
        found.update(dict.fromkeys(find(subject, options)))
    if len(wanted) == 1:
        return tuple(found)
    return tuple(sorted(found, key=lambda one: (one.span.start_line, one.span.start_col, one.rule)))


def options_of(dockerfile: Dockerfile, request: BuildRequest) -> CheckOptions:
    """Which rules run: the build arg says, else the environment's variable, else the directive. They never merge.

    Raises UsageError, or DockerfileError for the directive.
    """
    given = given_args(request).get(VARIABLE) or os.environ.get(VARIABLE)
    directive = next((one for one in dockerfile.directives if one.name == "check"), None)
    try:
        if given:
            return parse_options(given)
        return parse_options(directive.value) if directive is not None else CheckOptions()
    except ValueError as error:
        hint = "write skip=RULE,RULE or skip=all, experimental=RULE, error=true, with `;` between them"
        if given or directive is None:
            raise UsageError(f"{VARIABLE}: {error}", hint=hint) from None
        raise DockerfileError(dockerfile.source, (Diagnostic(str(error), directive.span, hint),)) from None


def violation(dockerfile: Dockerfile, findings: tuple[Finding, ...]) -> DockerfileError:
    """The error that `error=true` makes of findings. It stands at the directive, and then at each of them."""
    rules = ", ".join(sorted({finding.rule for finding in findings}))
    directive = next((one.span for one in dockerfile.directives if one.name == "check"), Span(1, 0, 1, 0))
    diagnostics = [Diagnostic(f"lint violation found for rules: {rules}", directive)]
    diagnostics += [Diagnostic(f"{one.rule}: {one.message}", one.span, load(one.rule).url) for one in findings]
    return DockerfileError(dockerfile.source, tuple(diagnostics))


def as_event(dockerfile: Dockerfile, finding: Finding) -> Warned:
    """A finding as the build tells of it, in short: rule, message and line."""
    return Warned(message=f"{finding.rule}: {finding.message}", place=place(dockerfile.source, finding.span))
