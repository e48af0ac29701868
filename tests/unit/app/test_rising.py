"""`Rising`: the layers of a stack, made at the same time; who needs those below waits for them."""

import os
import threading

import pytest

from jettison.app.materials import AT_ONCE, each
from jettison.app.rising import Rising

LAYERS = [f"layer {number:02}" for number in range(3 * AT_ONCE)]


def test_all_that_is_below_is_in_place_when_the_byte_comes():
    rising, placed = Rising(LAYERS), []

    def make(layer):
        with rising.making(layer) as below:
            assert os.read(below, 1) == b"."
            assert placed == LAYERS[: LAYERS.index(layer)]
            placed.append(layer)

    each(LAYERS, make)
    assert placed == LAYERS


def test_nobody_has_to_wait():
    rising, together = Rising(LAYERS[:AT_ONCE]), threading.Barrier(AT_ONCE)

    def make(layer):
        with rising.making(layer):
            together.wait(timeout=30)

    each(LAYERS[:AT_ONCE], make)


def test_a_layer_that_was_made_before_those_below_is_waited_for_no_longer():
    rising = Rising(["a", "b", "c"])
    with rising.making("b"):
        pass
    with rising.making("c") as below, rising.making("a"):
        os.set_blocking(below, False)
        with pytest.raises(BlockingIOError):
            os.read(below, 1)
    with Rising(["a"]).making("a") as below:
        assert os.read(below, 2) == b"."


def test_the_layers_above_one_that_fails_are_told_and_no_others():
    rising, said = Rising(LAYERS), {}
    waiting, failed = threading.Barrier(AT_ONCE), threading.Event()

    def make(layer):
        with rising.making(layer) as below:
            waiting.wait(timeout=30)
            if layer == LAYERS[0]:
                failed.wait(timeout=30)
                return
            if layer == LAYERS[2]:
                raise LookupError(layer)
            said[layer] = os.read(below, 1)
            if not said[layer]:
                failed.set()
                raise ValueError(layer)

    with pytest.raises(LookupError):
        each(LAYERS, make)
    assert said == {LAYERS[1]: b"."} | dict.fromkeys(LAYERS[3:AT_ONCE], b"")
    with rising.making(LAYERS[-1]) as below:
        assert os.read(below, 1) == b""
