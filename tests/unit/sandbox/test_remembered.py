"""What worked is known again in the same circumstances, and in no others."""

import os
from pathlib import Path

import msgspec
import pytest

from jettison.sandbox import probe, remembered
from jettison.sandbox.tier import ROOT, Tier

TIER = Tier(name=ROOT, overlay_namespace="user", fresh_proc=False, network_namespace=False)


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = str(tmp_path / "store")
    os.makedirs(f"{path}/tmp")
    return path


def test_what_worked_is_known_again(store: str) -> None:
    assert remembered.recall(store, None) is None
    remembered.remember(store, None, TIER)
    assert remembered.recall(store, None) == TIER
    assert os.listdir(f"{store}/tmp") == []


def test_it_holds_for_what_was_asked_and_for_its_store(store: str, tmp_path: Path) -> None:
    remembered.remember(store, ROOT, TIER)
    assert remembered.recall(store, ROOT) == TIER
    assert remembered.recall(store, None) is None
    os.mkdir(other := str(tmp_path / "other"))
    os.rename(f"{store}/{remembered.NOTE}", f"{other}/{remembered.NOTE}")
    assert remembered.recall(other, ROOT) is None


@pytest.mark.parametrize("what", ["boot_id", "status", "/proc/1/stat"])
def test_other_circumstances_are_tried_anew(store: str, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    remembered.remember(store, None, TIER)
    read = remembered._read

    def differently(path: str) -> bytes:
        digits = bytes.maketrans(b"0123456789", b"1234567890") if path.endswith(what) else None
        return read(path).translate(digits)

    monkeypatch.setattr(remembered, "_read", differently)
    assert remembered.recall(store, None) is None


@pytest.mark.parametrize("note", [b"", b"{}", b"\xff", b'{"name": 3}'])
def test_a_damaged_note_is_none(store: str, note: bytes) -> None:
    with open(f"{store}/{remembered.NOTE}", "wb") as file:
        file.write(note)
    assert remembered.recall(store, None) is None


def test_a_tier_that_is_no_more_is_none(store: str) -> None:
    remembered.remember(store, None, TIER)
    with open(f"{store}/{remembered.NOTE}", "rb") as file:
        note = msgspec.json.decode(file.read())
    with open(f"{store}/{remembered.NOTE}", "wb") as file:
        file.write(msgspec.json.encode({**note, "name": "vm"}))
    assert remembered.recall(store, None) is None


def test_what_cannot_be_noted_is_left(store: str) -> None:
    os.rmdir(f"{store}/tmp")
    remembered.remember(store, None, TIER)
    assert remembered.recall(store, None) is None
    remembered.forget(store)


def test_what_is_forgotten_is_tried_anew(store: str) -> None:
    remembered.remember(store, None, TIER)
    remembered.forget(store)
    assert remembered.recall(store, None) is None
    assert probe.candidate(ROOT).name == ROOT
