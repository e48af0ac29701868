"""How large the build cache may grow, and when it is measured."""

import os

import pytest

from jettison.app import bound
from jettison.base.errors import UsageError
from jettison.store.store import Store


def total(path: str) -> int:
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def test_without_a_word_it_is_10_gib_or_a_tenth_of_the_disk(monkeypatch, tmp_path):
    monkeypatch.delenv(bound.VARIABLE, raising=False)
    assert bound.store_bound(str(tmp_path)) == max(10 << 30, total(str(tmp_path)) // 10)


@pytest.mark.parametrize(("text", "size"), [("20GB", 20 << 30), ("0", 0), ("none", None), (" off ", None)])
def test_what_the_variable_says(monkeypatch, tmp_path, text: str, size: int | None):
    monkeypatch.setenv(bound.VARIABLE, text)
    assert bound.store_bound(str(tmp_path)) == size


def test_a_share_of_the_disk(monkeypatch, tmp_path):
    monkeypatch.setenv(bound.VARIABLE, "50%")
    assert bound.store_bound(str(tmp_path)) == total(str(tmp_path)) // 2


@pytest.mark.parametrize("text", ["much", "101%", "-1", "%", "1.5.2GB"])
def test_what_cannot_be_read_is_refused(monkeypatch, tmp_path, text: str):
    monkeypatch.setenv(bound.VARIABLE, text)
    with pytest.raises(UsageError, match=bound.VARIABLE):
        bound.store_bound(str(tmp_path))


def measured(store: Store, cache_bytes: int, *, free_more: int = 0, ago_s: int = 0) -> None:
    found = os.statvfs(store.root)
    free = found.f_bavail * found.f_frsize + free_more
    bound.write_measure(store, bound.Measure(cache_bytes=cache_bytes, free_bytes=free, at_s=bound.now_s() - ago_s))


SLACK = 4 << 30  # whatever else writes to this disk meanwhile


def test_when_it_is_measured(tmp_path):
    with Store.open(str(tmp_path)) as store:
        bound.begin(store)
        assert not bound.is_due(store, SLACK)  # never measured: it is new
        measured(store, 100)
        bound.begin(store)  # which is for the first time alone
        assert not bound.is_due(store, 100 + SLACK)
        assert bound.is_due(store, 99)
        measured(store, 100, ago_s=86_401)
        assert bound.is_due(store, 100 + SLACK)
        measured(store, 100, ago_s=-3600)  # the clock was set back
        assert bound.is_due(store, 100 + SLACK)
        measured(store, 100, free_more=2 * SLACK)  # so much less is free than then: it may all be the cache's
        assert bound.is_due(store, 100 + SLACK)


def test_a_damaged_measure_is_none(tmp_path):
    with Store.open(str(tmp_path)) as store:
        with open(f"{store.root}/measured", "w", encoding="ascii") as file:
            file.write('{"cache_')
        assert bound.is_due(store, SLACK)
