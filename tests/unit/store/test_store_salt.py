"""The store's salt: one for good, and only the owner's."""

import os
import threading

from jettison.store.store import Store


def test_it_stays_and_is_each_stores_own(tmp_path):
    with Store.open(str(tmp_path / "a")) as store, Store.open(str(tmp_path / "b")) as other:
        made = store.salt()
        assert len(made) == 32
        assert store.salt() == made != other.salt()
        assert os.stat(os.path.join(store.root, "salt")).st_mode & 0o777 == 0o600
        assert os.listdir(os.path.join(store.root, "tmp")) == []
    with Store.open(str(tmp_path / "a")) as store:
        assert store.salt() == made


def test_whoever_comes_first_makes_it(tmp_path):
    found = []
    with Store.open(str(tmp_path)) as store:
        threads = [threading.Thread(target=lambda: found.append(store.salt())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_half_of_one_is_made_anew(tmp_path):
    with Store.open(str(tmp_path)) as store:
        path = os.path.join(store.root, "salt")
        with open(path, "wb") as file:
            file.write(b"half")
        assert len(store.salt()) == 32
