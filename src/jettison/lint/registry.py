"""All rules, sorted by name. A rule's module is imported when it has something to look at: builds pay for no other."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from jettison.lint.rule import Rule, kebab
from jettison.syntax import nodes

if TYPE_CHECKING:
    from jettison.lint.subject import Subject

Sight = type[nodes.Instruction] | str

# What a rule looks at beside instructions.
NAMES = "a stage that has a name"
PLATFORMS = "FROM with --platform"
VARIABLES = "FROM with a variable"
COMMENTS = "an instruction with a comment above"
EMPTY_LINES = "an empty line in an instruction"
IGNORED = "a context with an ignore file"

# Without any of these a rule finds nothing. Every file has an Instruction.
ABOUT: dict[str, tuple[Sight, ...]] = {
    "ConsistentInstructionCasing": (nodes.Instruction,),
    "CopyIgnoredFile": (IGNORED,),
    "DuplicateStageName": (NAMES,),
    "ExposeInvalidFormat": (nodes.Expose,),
    "ExposeProtoCasing": (nodes.Expose,),
    "FromAsCasing": (NAMES,),
    "FromPlatformFlagConstDisallowed": (PLATFORMS,),
    "InvalidBaseImagePlatform": (nodes.Instruction,),
    "InvalidDefaultArgInFrom": (VARIABLES,),
    "InvalidDefinitionDescription": (COMMENTS,),
    "JSONArgsRecommended": (nodes.Cmd, nodes.Entrypoint),
    "LegacyKeyValueFormat": (nodes.Env, nodes.Label),
    "MaintainerDeprecated": (nodes.Maintainer,),
    "MultipleInstructionsDisallowed": (nodes.Cmd, nodes.Entrypoint, nodes.Healthcheck),
    "NoEmptyContinuation": (EMPTY_LINES,),
    "RedundantTargetPlatform": (PLATFORMS,),
    "ReservedStageName": (NAMES,),
    "SecretsUsedInArgOrEnv": (nodes.Arg, nodes.Env),
    "StageNameCasing": (NAMES,),
    "UndefinedArgInFrom": (VARIABLES, PLATFORMS),
    "UndefinedVar": (nodes.Instruction,),
    "WorkdirRelativePath": (nodes.Workdir,),
}


def load(name: str) -> Rule:
    """The rule of that name. Raises KeyError."""
    if name not in ABOUT:
        raise KeyError(name)
    rule: Rule = import_module(f"jettison.lint.rules.{kebab(name).replace('-', '_')}").RULE
    return rule


def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by name."""
    return tuple(load(name) for name in ABOUT)


def rules_about(subject: Subject) -> tuple[Rule, ...]:
    """The rules that can find something there, sorted by name."""
    seen = _seen(subject)
    return tuple(load(name) for name, about in ABOUT.items() if not seen.isdisjoint(about))


def _seen(subject: Subject) -> set[Sight]:
    dockerfile = subject.dockerfile
    seen: set[Sight] = {nodes.Instruction, *(type(node) for node in dockerfile.instructions)}
    if any(node.comments for node in dockerfile.instructions):
        seen.add(COMMENTS)
    if dockerfile.empty_continuations:
        seen.add(EMPTY_LINES)
    if subject.ignore:
        seen.add(IGNORED)
    for node, _ in subject.stages:
        if node.name is not None:
            seen.add(NAMES)
        if node.platform is not None:
            seen.add(PLATFORMS)
        if "$" in node.base.text:
            seen.add(VARIABLES)
    return seen
