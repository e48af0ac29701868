"""Runs a `docker-credential-*` program: the key on its standard input, JSON on its standard output."""

from __future__ import annotations

from jettison.base.errors import InputError
from jettison.registry.auth import parse_helper_answer
from jettison.registry.exchange import Credential
from jettison.registry.shown import shown

TIMEOUT_S = 60
_NONE = ("credentials not found", "no credentials")


def run_helper(program: str, key: str) -> Credential | None:
    """The login that `program` has for `key`, None when it has none. Raises InputError when it fails otherwise."""
    import subprocess

    hint = f"Docker's config.json names {program}: install it, or log in without it"
    try:
        done = subprocess.run([program, "get"], input=key.encode(), capture_output=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise InputError(f"the credential helper {program} is not installed", hint=hint) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        what = "did not answer" if isinstance(error, subprocess.TimeoutExpired) else "cannot be run"
        raise InputError(f"the credential helper {program} {what}", hint=hint) from None
    if done.returncode:
        said = shown((done.stdout or done.stderr).decode("utf-8", "replace"))
        if any(words in said.lower() for words in _NONE):
            return None
        raise InputError(f"the credential helper {program} failed: {said or done.returncode}", hint=hint)
    try:
        return parse_helper_answer(done.stdout)
    except ValueError:
        raise InputError(f"the credential helper {program} answered with something else than JSON") from None
