"""Which ids a user namespace gets."""

from jettison.sandbox.tier import IdRange
from jettison.sandbox.userns import own_map, subordinate_map

SUBUID = """
# a comment
somebody:1000:10
ann:200000:65536
1000:900000:5
ann:100:0
ann:x:7
ann:300:1:2
"""


def test_every_id_that_the_outer_namespace_has_is_kept() -> None:
    text = "         0          0 4294967295\n"
    assert own_map(text) == (IdRange(0, 0, 4294967295),)
    assert own_map("0 200000 65536\n70000 5 1\n") == (IdRange(0, 0, 65536), IdRange(70000, 70000, 1))


def test_subordinate_ranges_follow_the_users_own_id_by_name_and_by_number() -> None:
    assert subordinate_map(SUBUID, 1000, ["1000", "ann"]) == (
        IdRange(0, 1000, 1),
        IdRange(1, 200000, 65536),
        IdRange(65537, 900000, 5),
    )


def test_a_user_without_ranges_has_its_own_id_alone() -> None:
    assert subordinate_map(SUBUID, 7, ["7", "bob"]) == (IdRange(0, 7, 1),)
