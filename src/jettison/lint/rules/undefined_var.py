"""UndefinedVar: what no ARG or ENV sets is empty, silently."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.syntax.suggest import closest


def check(subject: Subject) -> Found:
    """A variable that is not set where it is used. On top of an image that is not known nothing can be said."""
    for use in subject.uses:
        for name, span in use.unset:
            near = closest(name, [one for one in (*sorted(subject.global_names), *use.names) if one != name])
            hint = f" (did you mean ${near}?)" if near else ""
            yield f"Usage of undefined variable '${name}'{hint}", span


RULE = Rule(name="UndefinedVar", description="Variables should be defined before their use", check=check)
