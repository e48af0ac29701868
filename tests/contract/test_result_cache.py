"""The ResultCache contract, kept by the fake of the solver's tests and by the store's."""

import os
import shutil
from collections.abc import Iterator

import pytest

from contract.result_cache import OP, ResultCacheContract, key, save
from fakes.ports import FakeCache
from jettison.app.cache import StoreCache
from jettison.solve.ports import Result
from jettison.store.store import Store


class FakeLayers:
    def __init__(self, cache: FakeCache) -> None:
        self.cache = cache
        self.made = 0

    def make(self) -> str:
        self.made += 1
        return f"s-{self.made:032x}"

    def lose(self, layer: str) -> None:
        self.cache.lost.add(layer)


class StoreLayers:
    def __init__(self, store: Store) -> None:
        self.store = store

    def make(self) -> str:
        layer, path = self.store.new_snapshot()
        os.mkdir(path)
        self.store.keep_snapshot(layer)
        return layer

    def lose(self, layer: str) -> None:
        shutil.rmtree(self.store.snapshot_path(layer))


class TestFake(ResultCacheContract):
    @pytest.fixture
    def cache(self) -> FakeCache:
        return FakeCache()

    @pytest.fixture
    def layers(self, cache: FakeCache) -> FakeLayers:
        return FakeLayers(cache)


class TestStore(ResultCacheContract):
    @pytest.fixture
    def store(self, tmp_path) -> Iterator[Store]:
        with Store.open(str(tmp_path)) as store:
            yield store

    @pytest.fixture
    def cache(self, store: Store) -> StoreCache:
        return StoreCache(store)

    @pytest.fixture
    def layers(self, store: Store) -> StoreLayers:
        return StoreLayers(store)

    def test_another_process_finds_it_later(self, cache: StoreCache, layers: StoreLayers, tmp_path):
        result = Result(id="r", layers=(layer := layers.make(),), added=(layer,))
        save(cache, (key("k"),), OP, "site", result)
        with Store.open(str(tmp_path)) as other:
            assert StoreCache(other).find("sha256:k") == result
