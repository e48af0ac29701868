"""ONBUILD: the instructions that a base hands to the stage that builds on it, once. Reference §1.9."""

from __future__ import annotations

import msgspec

from jettison.base.errors import DockerfileError
from jettison.base.span import Span
from jettison.planning.faults import FaultError
from jettison.planning.stages import Declared
from jettison.syntax.nodes import Instruction, Onbuild
from jettison.syntax.parse import parse_instruction


class Trigger(msgspec.Struct, frozen=True):
    """One instruction to run right after FROM. `foreign`: an image brought it, so its spans are of another text."""

    instruction: Instruction
    foreign: bool = False


def triggers_of_stage(parent: Declared) -> tuple[Trigger, ...]:
    """What a stage of the same file hands on."""
    return tuple(Trigger(one.trigger) for one in parent.instructions if isinstance(one, Onbuild))


def triggers_of_image(texts: tuple[str, ...], origin: Span) -> tuple[Trigger, ...]:
    """What an image hands on. The steps stand at the FROM. Raises FaultError for a text that is no instruction."""
    return tuple(Trigger(_parsed(text, origin), foreign=True) for text in texts)


def _parsed(text: str, origin: Span) -> Instruction:
    try:
        instruction = parse_instruction(text)
    except DockerfileError as error:
        message = f"the base image's ONBUILD {text.splitlines()[0] if text else text!r}: {error.message}"
        raise FaultError(message, origin, error.hint) from None
    return msgspec.structs.replace(instruction, span=origin)
