"""UndefinedArgInFrom: FROM sees nothing but the ARGs that stand before the first one."""

from __future__ import annotations

from jettison.lint.rule import Found, Rule
from jettison.lint.subject import Subject
from jettison.planning.faults import meant


def check(subject: Subject) -> Found:
    """A name in FROM that no global ARG declares, and that is no platform ARG."""
    for words in subject.from_words:
        for looked, word in ((words.base, words.node.base), (words.platform, words.node.platform)):
            if looked is None or word is None:
                continue
            for name in looked.unset:
                if name not in subject.global_names:
                    near = meant(name, {**dict.fromkeys(sorted(subject.global_names)), **subject.values})
                    yield f"FROM argument '{name}' is not declared{near}", word.span


RULE = Rule(name="UndefinedArgInFrom", description="FROM command must use declared ARGs", check=check)
