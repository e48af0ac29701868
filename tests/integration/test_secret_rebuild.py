"""`--secret ...,rebuild=true`: a changed value runs the steps that mount it again, and stays unknown to the store."""

from __future__ import annotations

import hashlib
import os

import pytest

from caches import Built, Machines
from jettison.app.request import CacheSource, CacheTarget, Secret

pytestmark = pytest.mark.root

VALUE, OTHER = "correct-horse-battery", "staple-of-the-day"
DOCKERFILE = """\
FROM busybox
RUN echo before > /before
RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /length
RUN --mount=type=secret,id=plain wc -c < /run/secrets/plain > /plain
RUN cat /before > /after
"""


class Site(Machines):
    def run(self, value: str, *, rebuild: bool = True, machine: str = "here", **more: object) -> Built:
        path = os.path.join(self.folder, "token")
        with open(path, "w", encoding="utf-8") as file:
            file.write(value)
        secrets = (Secret(id="token", src=path, rebuild=rebuild), Secret(id="plain", src=path))
        return self.build(machine, secrets=secrets, **more)


@pytest.fixture
def site(tmp_path) -> Site:
    made = Site(str(tmp_path))
    made.write(Dockerfile=DOCKERFILE)
    return made


def reasons(built: Built) -> list[str]:
    return [step.reason for step in built.result.record.steps if step.verdict == "ran"]


def test_a_changed_value_runs_what_mounts_it(site: Site) -> None:
    first = site.run(VALUE)
    assert len(first.ran) == 4
    assert site.run(VALUE).ran == []
    changed = site.run(OTHER)
    assert reasons(changed) == ["secret token changed", "the step before it changed"]
    assert changed.id != first.id
    back = site.run(VALUE)
    assert back.ran == []
    assert back.id == first.id


def test_without_it_a_value_is_in_no_key(site: Site) -> None:
    site.run(VALUE, rebuild=False)
    assert site.run(OTHER, rebuild=False).ran == []
    assert reasons(site.run(OTHER))[0] == "secret token is new"


def test_an_equal_outcome_ends_there(site: Site) -> None:
    first = site.run("one-value")
    again = site.run("two-value")  # as long: the step yields what it yielded
    assert again.ran == []
    assert [step.hit for step in again.result.record.steps if step.reason] == ["equal-bytes"]
    assert again.id == first.id


def test_neither_the_store_nor_a_cache_tells_the_value(site: Site, tmp_path) -> None:
    cache = str(tmp_path / "cache")
    site.run(VALUE, to=CacheTarget(type="local", dest=cache, mode="max"))
    told = [VALUE.encode(), *(_hash(name) for name in ("sha256", "sha1", "md5", "blake2b"))]
    for top in (site.store("here"), cache):
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        data = file.read()
                    assert not any(word in data for word in told), path


def test_another_machine_runs_the_step_itself(site: Site, tmp_path) -> None:
    """A hash that means the same everywhere could be guessed from a cache; what comes after hits by content."""
    cache = str(tmp_path / "cache")
    here = site.run(VALUE, to=CacheTarget(type="local", dest=cache, mode="max"))
    there = site.run(VALUE, machine="there", of=CacheSource(type="local", src=cache))
    assert there.ran == ["[3/5] RUN --mount=type=secret,id=token wc -c < /run/secrets/token > /length"]
    assert len(here.ran) == 4


def _hash(name: str) -> bytes:
    return hashlib.new(name, VALUE.encode()).hexdigest().encode()
