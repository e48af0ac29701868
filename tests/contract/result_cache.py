"""What every ResultCache promises (solve/ports.py), as tests: a class to inherit, with two fixtures to give."""

import threading

from jettison.record.model import KeyPart
from jettison.solve.ports import Entry, Key, Result, ResultCache

OP = "sha256:" + "0" * 64
BASE = "sha256:" + "b" * 64


def key(name: str, *parts: str) -> Key:
    return Key(digest=f"sha256:{name}", parts=tuple(KeyPart(part, "1") for part in parts))


def save(cache: ResultCache, keys: tuple[Key, ...], op_digest: str, site: str, result: Result) -> None:
    cache.save(Entry(keys=keys, op_digest=op_digest, site=site, result=result))


class ResultCacheContract:
    """Give the fixtures `cache` and `layers`: its `make()` is a whole layer's id, and `lose(id)` ends it."""

    def test_what_was_saved_is_found_under_each_key(self, cache: ResultCache, layers):
        result = Result(id="r", layers=(BASE, layer := layers.make()), added=(layer,))
        save(cache, (key("definition"), key("content")), OP, "app#s.1", result)
        assert cache.find("sha256:definition") == result
        assert cache.find("sha256:content") == result

    def test_several_are_saved_at_once(self, cache: ResultCache, layers):
        made = [Result(id=name, layers=(layer := layers.make(),), added=(layer,)) for name in ("a", "b")]
        cache.save(*(Entry(keys=(key(each.id),), op_digest=OP, site=f"at {each.id}", result=each) for each in made))
        assert [cache.find("sha256:a"), cache.find("sha256:b")] == made
        assert [each.result for each in cache.candidates(OP)] == made[::-1]

    def test_what_was_not_saved_is_not_found(self, cache: ResultCache, layers):
        del layers
        assert cache.find("sha256:nothing") is None
        assert cache.candidates(OP) == ()
        assert cache.last_at("app#s.1") is None

    def test_a_key_means_what_was_saved_last(self, cache: ResultCache, layers):
        for name in ("first", "second"):
            save(cache, (key("k"),), OP, "site", Result(id=name, layers=(layer := layers.make(),), added=(layer,)))
        assert cache.find("sha256:k").id == "second"

    def test_a_result_with_a_lost_layer_is_not_found(self, cache: ResultCache, layers):
        below, own = layers.make(), layers.make()
        save(cache, (key("own"),), OP, "site", Result(id="own", layers=(own,), added=(own,)))
        save(cache, (key("below"),), OP, "site", Result(id="below", layers=(below, own), added=(own,)))
        layers.lose(below)
        assert cache.find("sha256:below") is None
        assert cache.find("sha256:own") is not None
        assert [candidate.result.id for candidate in cache.candidates(OP)] == ["own"]

    def test_a_bases_layers_need_not_be_here(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("image"),), OP, "image:x", Result(id="r", layers=(BASE,), added=(BASE,)))
        assert cache.find("sha256:image") is not None

    def test_a_result_may_add_nothing(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("k"),), OP, "site", Result(id="r", layers=(BASE,)))
        assert cache.find("sha256:k") == Result(id="r", layers=(BASE,), added=())

    def test_candidates_come_newest_first_and_eight_at_most(self, cache: ResultCache, layers):
        for number in range(12):
            layer = layers.make()
            result = Result(id=f"r{number}", layers=(layer,), added=(layer,))
            save(cache, (key(f"k{number}"),), OP, f"site{number}", result)
        found = cache.candidates(OP)
        assert [candidate.result.id for candidate in found] == [f"r{number}" for number in range(11, 3, -1)]
        assert found[0].site == "site11"

    def test_candidates_are_of_that_op_alone(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("k"),), OP, "site", Result(id="r"))
        assert cache.candidates("sha256:" + "1" * 64) == ()

    def test_the_last_at_a_site_is_the_newest_whatever_its_op(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("a", "one"),), OP, "site", Result(id="a"))
        save(cache, (key("b", "two"),), "sha256:" + "1" * 64, "site", Result(id="b"))
        found = cache.last_at("site")
        assert found.result.id == "b"
        assert found.parts == (KeyPart("two", "1"),)

    def test_what_stands_at_a_site_again_is_the_last_there(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("a", "one"),), OP, "site", Result(id="a"))
        save(cache, (key("b", "two"),), OP, "site", Result(id="b"))
        save(cache, (key("b", "two"),), OP, "other", Result(id="b"))
        cache.stand(Entry(keys=(), op_digest=OP, site="site", result=Result(id="a")))
        assert cache.last_at("site").parts == (KeyPart("one", "1"),)
        assert cache.last_at("other").parts == (KeyPart("two", "1"),)
        save(cache, (key("c", "three"),), OP, "site", Result(id="c"))
        assert cache.last_at("site").parts == (KeyPart("three", "1"),)

    def test_what_was_saved_elsewhere_may_stand_at_a_site(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("a", "one"),), OP, "site", Result(id="a"))
        cache.stand(Entry(keys=(), op_digest=OP, site="here", result=Result(id="a")))
        for site in ("site", "here"):
            assert cache.last_at(site).parts == (KeyPart("one", "1"),)
            assert cache.last_at(site).site == site

    def test_what_was_never_saved_stands_nowhere(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("a", "one"),), OP, "site", Result(id="a"))
        cache.stand(Entry(keys=(), op_digest=OP, site="site", result=Result(id="b")))
        cache.stand(Entry(keys=(), op_digest="sha256:" + "1" * 64, site="nowhere", result=Result(id="a")))
        cache.stand()
        assert cache.last_at("site").result.id == "a"
        assert cache.last_at("nowhere") is None

    def test_an_op_is_known_once_a_result_of_it_was_saved(self, cache: ResultCache, layers):
        other = "sha256:" + "1" * 64
        assert cache.known_ops((OP, other)) == frozenset()
        save(cache, (key("k"),), OP, "site", Result(id="r", layers=(layer := layers.make(),), added=(layer,)))
        assert cache.known_ops((OP, other)) == {OP}
        assert cache.known_ops((other,)) == cache.known_ops(()) == frozenset()

    def test_an_op_stays_known_when_later_ones_take_its_place(self, cache: ResultCache, layers):
        del layers
        for number in range(40):
            save(cache, (key(f"k{number}"),), f"sha256:{number:064}", "site", Result(id=f"r{number}"))
        everything = [f"sha256:{number:064}" for number in range(40)]
        assert cache.known_ops(everything) == set(everything)

    def test_a_candidate_has_the_parts_of_the_last_key(self, cache: ResultCache, layers):
        del layers
        save(cache, (key("d", "of the definition"), key("c", "of the content")), OP, "site", Result(id="r"))
        assert cache.last_at("site").parts == (KeyPart("of the content", "1"),)
        assert cache.candidates(OP)[0].parts == (KeyPart("of the content", "1"),)

    def test_many_parts_are_kept(self, cache: ResultCache, layers):
        del layers
        many = key("k", *(f"file src/ä/{number}.py" for number in range(12_000)))
        save(cache, (many,), OP, "site", Result(id="r"))
        assert cache.last_at("site").parts == many.parts

    def test_threads_may_use_it_at_once(self, cache: ResultCache, layers):
        made = [layers.make() for _ in range(8)]
        start = threading.Barrier(len(made))
        wrong: list[object] = []

        def use(number: int, layer: str) -> None:
            start.wait(10)
            for turn in range(10):
                result = Result(id=f"{number}.{turn}", layers=(layer,), added=(layer,))
                save(cache, (key(f"{number}"), key(f"{number}.{turn}")), OP, f"site{number}", result)
                found = cache.find(f"sha256:{number}.{turn}")
                if found != result:
                    wrong.append(found)

        threads = [threading.Thread(target=use, args=each) for each in enumerate(made)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert cache.find("sha256:3").id == "3.9"
