"""Ids of builds: whoever lists the ids in order has the builds in order, those of one second, too."""

import re
import time

from jettison.app.records import new_build_id

DAY_NS = 24 * 3600 * 10**9


def test_ids_of_later_builds_are_greater():
    ids = []
    for _ in range(200):
        ids.append(new_build_id())
        began = time.time_ns()
        while time.time_ns() - began < 2000:
            pass
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_every_part_of_a_second_counts():
    moments = [0, 1000, 2000, 998_000, 10**6, 999_998_000, 999_999_999, 10**9, 10**9 + 1000, DAY_NS, 20_000 * DAY_NS]
    ids = [new_build_id(now_ns) for now_ns in moments]
    assert ids == sorted(ids)
    assert len({each[:-3] for each in ids}) == len(ids)
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", each) for each in ids)
    assert ids[0].startswith("19700101-000000-00000")
