"""`du` and `prune`: texts from values, and what their flags mean."""

import pytest

from golden import Golden
from jettison.app.care import CacheMountUse, ImageUse, KindUse, Pruned, PrunedLine, StoreUse
from jettison.base.errors import UsageError
from jettison.cli.du_command import age, use_text
from jettison.cli.prune_command import chosen, pruned_text, run

NOW = 1_800_000_000
USE = StoreUse(
    store="/home/me/.local/share/jettison/store",
    total_bytes=2_345_678_901,
    reclaimable_bytes=1_200_000_000,
    reclaimable_all_bytes=2_345_000_000,
    in_use_bytes=4096,
    bound_bytes=10 << 30,
    kinds=(
        KindUse(kind="image layers", count=3, size_bytes=1_100_000_000, used_s=NOW - 7300),
        KindUse(
            kind="build snapshots", count=12, size_bytes=1_245_678_901, reclaimable_bytes=1_200_000_000, used_s=NOW
        ),
        KindUse(kind="records", count=2, in_use_bytes=4096),
    ),
    images=(
        ImageUse(
            name="app:latest",
            platform="linux/amd64",
            created_s=NOW - 90_000,
            size_bytes=1_100_000_000,
            own_bytes=99,
            in_use=True,
        ),
        ImageUse(name="", platform="linux/arm64", created_s=NOW - 60, size_bytes=5, own_bytes=0, in_use=False),
    ),
    cache_mounts=(
        CacheMountUse(id="/root/.npm\x1b[2J", directory="ab/0", used_s=NOW - 200_000, size_bytes=77, in_use=False),
    ),
)


def test_what_the_store_takes(golden: Golden):
    golden.check("cli/du.txt", use_text(USE, NOW, verbose=False))
    golden.check("cli/du-verbose.txt", use_text(USE, NOW, verbose=True))


def test_what_was_removed():
    removed = (PrunedLine(kind="image", name="app:1"), PrunedLine(kind="snapshot", name="s-1", size_bytes=1500))
    said = "removed image app:1\nremoved snapshot s-1  1.5 kB\nTotal:  1.5 kB\n"
    assert pruned_text(Pruned(removed=removed, reclaimed_bytes=1500)) == said
    assert pruned_text(Pruned(removed=(), reclaimed_bytes=0)) == "Total:  0 B\n"


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (0, "0 seconds ago"),
        (-5, "0 seconds ago"),
        (1, "1 second ago"),
        (119, "1 minute ago"),
        (7200, "2 hours ago"),
        (90_000, "1 day ago"),
    ],
)
def test_ages(passed: int, text: str):
    assert age(NOW - passed, NOW) == text


@pytest.mark.parametrize(
    ("filters", "moment"),
    [
        (["until=24h"], NOW - 86_400),
        (["until=1h30m"], NOW - 5400),
        (["unused-for=2d", "until=1h"], NOW - 172_800),
        (["until=2026-01-31"], 1_769_817_600),
        (["until=2026-01-31T01:00:00+01:00"], 1_769_817_600),
    ],
)
def test_until(filters: list[str], moment: int):
    assert chosen(filters, NOW) == (moment, None)


def test_types():
    assert chosen(["type=exec.cachemount"], NOW) == (None, frozenset({"cache"}))
    assert chosen(["type!=exec.cachemount", "type!=image"], NOW) == (None, frozenset({"result", "ref"}))
    assert chosen([], NOW) == (None, None)


@pytest.mark.parametrize("text", ["until", "until=", "until=soon", "until=24", "type=layer", "id=1", "", "type!exec"])
def test_a_filter_that_is_not_understood(text: str):
    with pytest.raises(UsageError) as told:
        chosen([text], NOW)
    assert "until=24h" in (told.value.hint or "")


@pytest.mark.parametrize("words", [["--keep-storage", "much"], ["--filter=x=y"], ["more"], ["--froce"]])
def test_a_wrong_command_line(words: list[str]):
    with pytest.raises(UsageError) as told:
        run(words)
    assert told.value.hint
