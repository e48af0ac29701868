"""Secrets are read once, refused with a reason, and masked wherever a step prints them."""

import pytest

from jettison.app.emit import Emitter, mask
from jettison.app.request import BuildRequest, Secret
from jettison.app.secrets import MAX_SECRET_BYTES, Secrets
from jettison.base.errors import InputError
from jettison.record import model


def test_values_come_from_files_and_variables(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"from file\n")
    monkeypatch.setenv("TOKEN", "from env")
    secrets = Secrets(BuildRequest(secrets=(Secret(id="a", src=str(tmp_path / "f")), Secret(id="b", env="TOKEN"))))
    secrets.check()
    assert (secrets.value("a"), secrets.value("b"), secrets.value("c")) == (b"from file\n", b"from env", None)
    assert secrets.masked() == ("from file", "from env")


def test_a_missing_file_or_variable_is_named(tmp_path):
    with pytest.raises(InputError, match=r"secret a: .*nosuch: No such file"):
        Secrets(BuildRequest(secrets=(Secret(id="a", src=str(tmp_path / "nosuch")),))).check()
    with pytest.raises(InputError, match="the environment has no NOSUCHVAR"):
        Secrets(BuildRequest(secrets=(Secret(id="a", env="NOSUCHVAR"),))).check()


def test_a_huge_secret_is_refused(tmp_path):
    (tmp_path / "big").write_bytes(bytes(MAX_SECRET_BYTES + 1))
    with pytest.raises(InputError, match="larger than"):
        Secrets(BuildRequest(secrets=(Secret(id="a", src=str(tmp_path / "big")),))).check()


def test_lines_of_a_secret_are_masked_each(tmp_path):
    (tmp_path / "key").write_text("-----BEGIN-----\nc2VjcmV0\nabc\n\n-----END-----\n")
    secrets = Secrets(BuildRequest(secrets=(Secret(id="key", src=str(tmp_path / "key")),)))
    secrets.check()
    assert mask("got c2VjcmV0, abc", secrets.masked()) == "got ***, abc"


def test_masking_takes_the_longest_first():
    assert mask("a hunter22 b hunter2", ("hunter22", "hunter2")) == "a *** b ***"


def test_output_is_masked_and_not_kept():
    seen = []
    emit = Emitter(seen.append, ("hunter2",))
    emit(model.StepOutput(step="s", stream=1, text="it is hunter2"))
    emit(model.StepFinished(step="s", duration_ms=1))
    assert seen[0].text == "it is ***"
    assert [type(event) for event in emit.events] == [model.StepFinished]


def test_a_listener_that_raises_is_not_called_again():
    calls = []

    def listener(event):
        calls.append(event)
        raise RuntimeError("no")

    emit = Emitter(listener)
    emit(model.StepFinished(step="s", duration_ms=1))
    emit(model.StepFinished(step="t", duration_ms=1))
    assert len(calls) == 1
    assert isinstance(emit.listener_error, RuntimeError)
