"""All rules, sorted by name. A rule's module is imported when it has something to look at: builds pay for no other."""

from __future__ import annotations

from importlib import import_module

from jettison.lint.rule import Rule, kebab
from jettison.syntax import nodes

# What a rule looks at: without one of these in the file it finds nothing. Every file has an Instruction.
ABOUT: dict[str, tuple[type[nodes.Instruction], ...]] = {
    "ConsistentInstructionCasing": (nodes.Instruction,),
    "CopyIgnoredFile": (nodes.Copy, nodes.Add),
    "DuplicateStageName": (nodes.From,),
    "ExposeInvalidFormat": (nodes.Expose,),
    "ExposeProtoCasing": (nodes.Expose,),
    "FromAsCasing": (nodes.From,),
    "FromPlatformFlagConstDisallowed": (nodes.From,),
    "InvalidBaseImagePlatform": (nodes.From,),
    "InvalidDefaultArgInFrom": (nodes.From,),
    "InvalidDefinitionDescription": (nodes.From, nodes.Arg),
    "JSONArgsRecommended": (nodes.Cmd, nodes.Entrypoint),
    "LegacyKeyValueFormat": (nodes.Env, nodes.Label),
    "MaintainerDeprecated": (nodes.Maintainer,),
    "MultipleInstructionsDisallowed": (nodes.Cmd, nodes.Entrypoint, nodes.Healthcheck),
    "NoEmptyContinuation": (nodes.Instruction,),
    "RedundantTargetPlatform": (nodes.From,),
    "ReservedStageName": (nodes.From,),
    "SecretsUsedInArgOrEnv": (nodes.Arg, nodes.Env),
    "StageNameCasing": (nodes.From,),
    "UndefinedArgInFrom": (nodes.From,),
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


def rules_about(dockerfile: nodes.Dockerfile) -> tuple[Rule, ...]:
    """The rules that can find something in this file, sorted by name."""
    kinds = {type(node) for node in dockerfile.instructions}
    kinds.add(nodes.Instruction)
    return tuple(load(name) for name, about in ABOUT.items() if not kinds.isdisjoint(about))
