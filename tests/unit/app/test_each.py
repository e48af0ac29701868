"""`each`: every name, a few at once, and an error when those that were begun have ended."""

import threading

import pytest

from jettison.app.materials import AT_ONCE, each


def test_every_name_is_made_once():
    assert each([*range(50)], lambda name: name * 2) == {name: name * 2 for name in range(50)}
    assert each(["one"], str.upper) == {"one": "ONE"}
    assert each([], str.upper) == {}


def test_a_few_are_made_at_once():
    together = threading.Barrier(AT_ONCE)
    assert len(each([*range(3 * AT_ONCE)], lambda _: together.wait(timeout=30))) == 3 * AT_ONCE


def test_of_several_errors_that_of_the_first_name_is_raised():
    last_failed = threading.Event()

    def make(name):
        if name == 2:
            last_failed.set()
        last_failed.wait(timeout=30)
        raise LookupError(name)

    with pytest.raises(LookupError, match="0"):
        each([0, 1, 2], make)


def test_after_an_error_no_more_are_begun():
    begun = []

    def make(name):
        begun.append(name)
        raise LookupError(name)

    with pytest.raises(LookupError):
        each([*range(50)], make)
    assert len(begun) <= AT_ONCE
